-- intermediate.coding_pass: passes of coders over sessions that are in use
-- grain: site_id, event_id
-- scope: site

select
  event.site_id,
  event.event_id,
  event.client_id,
  event.therapist_id,
  event.episode_id,
  event.session_number,
  event.study_day,
  event.recorded_day,
  event.actor_id as coder_id,
  (event.payload ->> '$.scheme') as scheme,
  (event.payload ->> '$.coding_role') as coding_role,
  (event.payload ->> '$.coded_minutes')::double as coded_minutes,
  (event.payload ->> '$.extent_resolved')::integer as extent_resolved
from staging.event
inner join intermediate.reference using (site_id, event_id)
where event.event_type = 'coding.pass' and waits_for is null
