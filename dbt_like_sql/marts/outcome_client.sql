-- marts.outcome_client: first and last outcome score of a client and the change between them
-- grain: site_id, client_id, episode_id, instrument, version, rater, rule_id
-- scope: site
-- rules: `first_last`: first and last score that could be computed; a client with one score has no change.
-- `improvement` is the change in the direction of health, whatever the direction of the instrument.

with score as (
  select * from marts.outcome_score
),

client as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    version,
    rater,
    count(*)::integer as n_scores,
    arg_min_null(score, measurement) as first_score,
    arg_min_null(session_number, measurement) as first_session_number,
    arg_max_null(score, measurement) as last_score,
    arg_max_null(session_number, measurement) as last_session_number,
    max(improvement_sign) as improvement_sign
  from score
  group by site_id, client_id, episode_id, instrument, version, rater
)

select
  site_id,
  client_id,
  episode_id,
  instrument,
  version,
  rater,
  'first_last' as rule_id,
  n_scores,
  first_score,
  first_session_number,
  last_score,
  last_session_number,
  case when n_scores > 1 then last_score - first_score end as change,
  case when n_scores > 1 then improvement_sign * (last_score - first_score) end as improvement
from client
