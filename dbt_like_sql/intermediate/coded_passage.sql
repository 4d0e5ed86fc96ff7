-- intermediate.coded_passage: coded passages of sessions and of recall interviews
-- grain: site_id, event_id
-- scope: site

select
  event.site_id,
  event.event_id,
  event.client_id,
  event.therapist_id,
  event.episode_id,
  event.session_number,
  event.event_type,
  event.actor_id,
  event.payload ->> '$.perspective' as perspective,
  event.payload ->> '$.scheme' as scheme,
  event.payload ->> '$.coding_role' as coding_role,
  event.payload ->> '$.code' as code,
  event.payload ->> '$.family' as family,
  (event.payload ->> '$.significance')::integer as significance
from staging.event
inner join intermediate.reference using (site_id, event_id)
where event.event_type in ('coding.segment', 'recall.moment') and waits_for is null
