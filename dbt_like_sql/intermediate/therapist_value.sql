-- intermediate.therapist_value: what a therapist's clients contribute, one figure per client
-- grain: site_id, therapist_id, client_id, episode_id, quantity, instrument, version, rater, occasion
-- scope: site
-- `alliance`: mean of the item means (total) over the held sessions with that therapist. `improvement`: from the first to the last
-- score in the direction of health, for the therapist who held most sessions with the client (of several the first).

with treated as (
  select * from intermediate.session_therapist
),

rated as (
  select
    treated.site_id,
    treated.therapist_id,
    treated.client_id,
    treated.episode_id,
    alliance.instrument,
    alliance.version,
    alliance.rater,
    alliance.occasion,
    count(*)::integer as n_values,
    avg(alliance.item_mean order by alliance.session_number) as value
  from treated
  inner join marts.alliance_session as alliance
    on treated.site_id = alliance.site_id
    and treated.client_id = alliance.client_id
    and treated.episode_id = alliance.episode_id
    and treated.session_number = alliance.session_number
  where alliance.scale = 'total' and alliance.item_mean is not null
  group by
    treated.site_id,
    treated.therapist_id,
    treated.client_id,
    treated.episode_id,
    alliance.instrument,
    alliance.version,
    alliance.rater,
    alliance.occasion
),

held as (
  select site_id, client_id, episode_id, therapist_id, count(*) as n_held, min(session_number) as first_held
  from treated
  group by site_id, client_id, episode_id, therapist_id
),

main as (
  select site_id, client_id, episode_id, therapist_id
  from held
  qualify row_number() over (
    partition by site_id, client_id, episode_id order by n_held desc, first_held, therapist_id
  ) = 1
),

changed as (
  select
    main.site_id,
    main.therapist_id,
    pair.client_id,
    pair.episode_id,
    pair.instrument,
    pair.version,
    pair.rater,
    pair.n_scores as n_values,
    rule.improvement_sign * (pair.post_score - pair.pre_score) as value
  from main
  inner join intermediate.outcome_pair as pair
    on main.site_id = pair.site_id and main.client_id = pair.client_id and main.episode_id = pair.episode_id
  inner join study.outcome_rule as rule
    on pair.instrument = rule.instrument and pair.version = rule.version and pair.rule_id = rule.rule_id
  where pair.rule_id = 'first_last' and pair.is_pair
)

select
  site_id, therapist_id, client_id, episode_id, 'alliance' as quantity, instrument, version, rater, occasion, n_values, value
from rated
union all
select site_id, therapist_id, client_id, episode_id, 'improvement', instrument, version, rater, null, n_values, value
from changed
