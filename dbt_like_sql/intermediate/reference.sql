-- intermediate.reference: may an event be used? does the client, and the session, that it speaks of exist?
-- grain: site_id, event_id
-- scope: site
-- Decided at every rebuild: a fact that came before its client or session is PENDING, never refused, and is used
-- as soon as they arrive. Questionnaires at intake, end and follow-up belong to no session.
-- Nothing of a client who withdrew consent with mode `exclude` or `erase` is used (`waits_for` is 'consent').

with event as (
  select * from staging.event where state = 'active'
),

client as (
  select distinct site_id, client_id from event where event_type = 'client.enrolled'
),

withdrawn as (
  select distinct site_id, client_id
  from event
  where event_type = 'consent.withdrawn' and (payload ->> '$.mode') in ('exclude', 'erase')
),

session as (
  select distinct site_id, client_id, episode_id, session_number from staging.session_event
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
    when withdrawn.client_id is not null then 'consent'
    when needs_client and client.client_id is null then 'client'
    when needs_session and session.client_id is null then 'session'
  end as waits_for
from asked
left join client using (site_id, client_id)
left join withdrawn using (site_id, client_id)
left join session using (site_id, client_id, episode_id, session_number)
