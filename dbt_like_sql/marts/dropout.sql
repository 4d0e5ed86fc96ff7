-- marts.dropout: did a client drop out? five definitions side by side
-- grain: site_id, client_id, episode_id
-- scope: study
-- source: Wierzbicki & Pekarik 1993; Hatchett & Park 2003; Swift & Greenberg 2012 (rates depend on the definition: fewer than 1 %
--         of 2,977 clients met the first three at once [V]).
--   missed_last     the last session of the course was missed or called off by the client, and nothing came after it
--   unilateral      the therapist says so: the client ended it and it was not planned; where the plan is not reported, the
--                   reason decides (dissatisfied, no contact: yes; goals reached, protocol completed: no)
--   not_improved    ended without reliable change and still on the clinical side, by one outcome rule (`outcome_rule`)
--   few_sessions    fewer sessions held than study.yaml calls few
--   off_protocol    fewer sessions held than the protocol foresees
-- A course without a report of its end is not over (`is_censored`): nothing is said of it that more sessions could
-- change. It is neither a drop-out nor a completer. `reached_landmark`: held a session beyond the landmark session, so that
-- ratings up to the landmark may be related to drop-out after it without immortal-time bias.

with threshold as (
  select * from study.dropout
),

course as (
  select
    site_id,
    client_id,
    episode_id,
    count(*)::integer as n_sessions,
    count(*) filter (where status = 'held')::integer as n_held,
    max(session_number) filter (where status = 'held') as last_held,
    arg_max(status, session_number) filter (where status <> 'scheduled') as last_status,
    arg_max(coalesce(absent_by, 'unknown'), session_number) filter (where status <> 'scheduled') as last_absent_by
  from marts.session
  group by site_id, client_id, episode_id
),

outcome as (
  select site_id, client_id, episode_id, rule_id, category, is_functional_post
  from marts.outcome_client
  inner join threshold
    on outcome_client.rule_id = threshold.outcome_rule
    and outcome_client.instrument = threshold.outcome_instrument
    and outcome_client.version = threshold.outcome_version
    and outcome_client.rater = 'client'
),

joined as (
  select
    course.*,
    ended.client_id is not null as is_over,
    ended.initiator,
    ended.reason,
    ended.planned,
    outcome.category,
    outcome.is_functional_post,
    threshold.*
  from course
  left join intermediate.treatment_end as ended using (site_id, client_id, episode_id)
  left join outcome using (site_id, client_id, episode_id)
  cross join threshold
)

select
  site_id,
  client_id,
  episode_id,
  n_sessions,
  n_held,
  last_held as last_held_session,
  not is_over as is_censored,
  initiator as end_initiator,
  reason as end_reason,
  planned as end_planned,
  case
    when is_over then last_status = 'missed' or (last_status = 'cancelled' and last_absent_by = 'client')
  end as missed_last,
  case
    when not is_over then null
    when planned is not null then initiator = 'client' and not planned
    when reason in ('dissatisfied', 'no_contact') then true
    when reason in ('goals_reached', 'protocol_completed') then false
  end as unilateral,
  case
    when is_over and category is not null
      then category in ('unchanged', 'deteriorated', 'harmed') and coalesce(not is_functional_post, true)
  end as not_improved,
  case when n_held >= few_sessions then false when is_over then true end as few_sessions,
  case when n_held >= protocol_sessions then false when is_over and protocol_sessions is not null then true end as off_protocol,
  coalesce(last_held > landmark, false) as reached_landmark,
  outcome_rule
from joined
