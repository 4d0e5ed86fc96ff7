-- intermediate.reference: may an event be used? does the client, and the session, that it speaks of exist?
-- grain: site_id, event_id
-- scope: site
-- Decided at every rebuild: a fact that came before its client or session is PENDING, never refused, and is used
-- as soon as they arrive. Questionnaires at intake, end and follow-up belong to no session.
-- A client who withdrew consent (`waits_for` is 'consent'): with mode `exclude` or `erase` nothing is used; with
-- `stop_future` what happened after the day of the (earliest) withdrawal is not. study.yaml says what a mode amounts to.
-- The day of a fact is its own study day, else its session's (the latest that was reported), else the day on which it
-- was recorded; a fact without any of these is used, since nothing says that it came later. A withdrawal without a day
-- excludes: nothing can be shown to have come before it.

with event as (
  select * from staging.event where state = 'active'
),

client as (
  select distinct site_id, client_id from event where event_type = 'client.enrolled'
),

withdrawn as (
  select
    event.site_id,
    event.client_id,
    bool_or(withdrawal.honoured <> 'stop_future' or coalesce(event.study_day, event.recorded_day) is null) as is_excluded,
    min(coalesce(event.study_day, event.recorded_day)) as last_day
  from event
  inner join study.withdrawal as withdrawal on withdrawal.asked = (event.payload ->> '$.mode')
  where event.event_type = 'consent.withdrawn'
  group by event.site_id, event.client_id
),

session as (
  select site_id, client_id, episode_id, session_number, max(study_day) as study_day
  from staging.session_event
  group by site_id, client_id, episode_id, session_number
),

asked as (
  select
    event.*,
    event_type <> 'client.enrolled' and client_id is not null as needs_client,
    session_number is not null
      and not starts_with(event_type, 'session.')
      and coalesce(payload ->> '$.occasion', '') not in ('intake', 'end', 'follow_up') as needs_session
  from event
)

select
  asked.site_id,
  asked.event_id,
  case
    when withdrawn.is_excluded
      or coalesce(asked.study_day, session.study_day, asked.recorded_day) > withdrawn.last_day then 'consent'
    when needs_client and client.client_id is null then 'client'
    when needs_session and session.client_id is null then 'session'
  end as waits_for
from asked
left join client using (site_id, client_id)
left join withdrawn using (site_id, client_id)
left join session using (site_id, client_id, episode_id, session_number)
