-- marts.response_surface: how client's and therapist's alliance together relate to outcome
-- grain: instrument, version, therapist_instrument, therapist_version, occasion, scale, outcome_instrument, outcome_version, outcome_rule, centering, parameter
-- scope: study
-- python: response_surface
-- source: Edwards & Parry 1993, Academy of Management Journal 36, 1577-1613; Humberg, Nestler & Back 2019, Social Psychological and
--         Personality Science 10, 409-419 (common center, interpretation) [M].
-- z = b0 + b1 x + b2 y + b3 x^2 + b4 x y + b5 y^2 over the dyads of the study by ordinary least squares: x and y are the means of the
-- client's and the therapist's ratings of the sessions that both rated (marts.alliance_congruence, common range), z is the
-- improvement of the client by a rule of marts.outcome_client (client's own rating).
--   line of congruence (x = y)      slope a1 = b1 + b2, curvature a2 = b3 + b4 + b5
--   line of incongruence (x = -y)   slope a3 = b1 - b2, curvature a4 = b3 - b4 + b5; a5 = b3 - b5
-- Centering: both ratings less one common value, `grand` (mean of all x and y) or `none`. Never each less its own mean: then
-- x = y would no longer mean that the two agree. Clients in the same therapist's care are taken as independent: errors
-- are too small where therapists differ. Seven dyads at least.

with dyad as (
  select
    congruence.instrument,
    congruence.version,
    congruence.therapist_instrument,
    congruence.therapist_version,
    congruence.occasion,
    congruence.scale,
    outcome.instrument as outcome_instrument,
    outcome.version as outcome_version,
    outcome.rule_id as outcome_rule,
    congruence.site_id,
    congruence.client_id,
    congruence.episode_id,
    congruence.client_mean as x,
    congruence.therapist_mean as y,
    outcome.improvement as z
  from marts.alliance_congruence as congruence
  inner join marts.outcome_client as outcome
    on congruence.site_id = outcome.site_id
    and congruence.client_id = outcome.client_id
    and congruence.episode_id = outcome.episode_id
    and outcome.rater = 'client'
    and outcome.improvement is not null
),

gathered as (
  select
    instrument,
    version,
    therapist_instrument,
    therapist_version,
    occasion,
    scale,
    outcome_instrument,
    outcome_version,
    outcome_rule,
    count(*)::integer as n_dyads,
    list(z order by site_id, client_id, episode_id) as zs,
    list(x order by site_id, client_id, episode_id) as xs,
    list(y order by site_id, client_id, episode_id) as ys
  from dyad
  group by
    instrument, version, therapist_instrument, therapist_version, occasion, scale,
    outcome_instrument, outcome_version, outcome_rule
),

centred as (
  select *, (list_sum(xs) + list_sum(ys)) / (2 * n_dyads) as grand from gathered
),

fitted as (
  select
    * exclude (zs, xs, ys),
    unnest(response_surface(zs, xs, ys, ['none', 'grand'], [0, grand])) as figure
  from centred
)

select
  instrument,
  version,
  therapist_instrument,
  therapist_version,
  occasion,
  scale,
  outcome_instrument,
  outcome_version,
  outcome_rule,
  figure.centering as centering,
  figure.parameter as parameter,
  figure.estimate as estimate,
  figure.se as se,
  n_dyads,
  figure.center as center,
  figure.r2 as r2,
  figure.sigma as sigma
from fitted
