-- marts.truth_bias: how therapists' ratings go with those of their clients, over all dyads
-- grain: instrument, version, therapist_instrument, therapist_version, occasion, model, term
-- scope: study
-- python: mixed_effects
-- source: West & Kenny 2011, Psychological Review 118, 357-378; Atzil-Slonim et al. 2015 (use) [V]; estimation as in marts.course_slope.
-- Total scores on the common range, sessions that both rated. Per dyad the same terms stand in marts.alliance_congruence.
--   pooled              T - mean(C) = b0 + b1 (C - mean(C)) over all pairs, mean over all pairs, least squares: differences between
--                       dyads and from session to session in one b1, errors as if pairs were independent
--   random_intercept    T - mean_i(C) = b0 + b1 (C - mean_i(C)), mean of the own dyad, dyads of three pairs or more: b1 is within
--                       dyads; an intercept of its own for each dyad, restricted maximum likelihood
--   random_slope        the same with a slope of its own too
-- directional_bias is b0 (negative: therapists rate lower), truth_force b1.

with pair as (
  select
    client.instrument,
    client.version,
    named.therapist_instrument,
    named.therapist_version,
    client.occasion,
    client.site_id,
    client.client_id,
    client.episode_id,
    client.session_number,
    client.common_mean as c,
    therapist.common_mean as t
  from marts.alliance_session as client
  inner join study.alliance_pair as named on client.instrument = named.instrument and client.version = named.version
  inner join marts.alliance_session as therapist
    on client.site_id = therapist.site_id
    and client.client_id = therapist.client_id
    and client.episode_id = therapist.episode_id
    and client.session_number = therapist.session_number
    and client.occasion = therapist.occasion
    and client.scale = therapist.scale
    and named.therapist_instrument = therapist.instrument
    and named.therapist_version = therapist.version
  where client.rater = 'client'
    and therapist.rater = 'therapist'
    and client.scale = 'total'
    and client.common_mean is not null
    and therapist.common_mean is not null
),

dyad as (
  select
    instrument,
    version,
    therapist_instrument,
    therapist_version,
    occasion,
    site_id,
    client_id,
    episode_id,
    count(*)::integer as n_pairs,
    list(c order by session_number) as cs,
    list(t order by session_number) as ts
  from pair
  group by
    instrument, version, therapist_instrument, therapist_version, occasion, site_id, client_id, episode_id
),

centred as (
  select
    *,
    list_transform(cs, lambda value: value - list_sum(cs) / n_pairs) as own_cs,
    list_transform(ts, lambda value: value - list_sum(cs) / n_pairs) as own_ts
  from dyad
),

gathered as (
  select
    instrument,
    version,
    therapist_instrument,
    therapist_version,
    occasion,
    count(*)::integer as n_all,
    sum(n_pairs)::integer as pairs_all,
    count(*) filter (where n_pairs >= 3)::integer as n_long,
    coalesce(sum(n_pairs) filter (where n_pairs >= 3), 0)::integer as pairs_long,
    list(cs order by site_id, client_id, episode_id) as all_cs,
    list(ts order by site_id, client_id, episode_id) as all_ts,
    coalesce(list(own_cs order by site_id, client_id, episode_id) filter (where n_pairs >= 3), []) as long_cs,
    coalesce(list(own_ts order by site_id, client_id, episode_id) filter (where n_pairs >= 3), []) as long_ts
  from centred
  group by instrument, version, therapist_instrument, therapist_version, occasion
),

middle as (
  select *, list_sum(list_transform(all_cs, lambda own: list_sum(own))) / pairs_all as grand
  from gathered
),

asked as (
  select
    instrument, version, therapist_instrument, therapist_version, occasion,
    'pooled' as model,
    n_all as n_dyads,
    pairs_all as n_pairs,
    mixed_effects(
      'pooled',
      list_transform(all_cs, lambda own: list_transform(own, lambda value: value - grand)),
      list_transform(all_ts, lambda own: list_transform(own, lambda value: value - grand))
    ) as fit
  from middle
  union all
  select
    instrument, version, therapist_instrument, therapist_version, occasion,
    'random_intercept' as model,
    n_long as n_dyads,
    pairs_long as n_pairs,
    mixed_effects('random_intercept', long_cs, long_ts) as fit
  from middle
  union all
  select
    instrument, version, therapist_instrument, therapist_version, occasion,
    'random_slope' as model,
    n_long as n_dyads,
    pairs_long as n_pairs,
    mixed_effects('random_slope', long_cs, long_ts) as fit
  from middle
)

select
  instrument, version, therapist_instrument, therapist_version, occasion, model,
  'directional_bias' as term,
  n_dyads, n_pairs, fit.level as estimate, fit.level_se as se, fit.sigma as sigma
from asked
union all
select
  instrument, version, therapist_instrument, therapist_version, occasion, model,
  'truth_force' as term,
  n_dyads, n_pairs, fit.trend as estimate, fit.trend_se as se, fit.sigma as sigma
from asked
