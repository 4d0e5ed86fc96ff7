-- staging.session_event: reports about sessions
-- grain: site_id, event_id
-- scope: site

select
  site_id,
  event_id,
  client_id,
  episode_id,
  session_number,
  therapist_id,
  study_day,
  split_part(event_type, '.', 2) as report,
  payload ->> '$.format' as format,
  (payload ->> '$.duration_minutes')::integer as duration_minutes,
  payload ->> '$.by' as absent_by,
  coalesce(payload ->> '$.reason', payload ->> '$.absence_also_recorded') as absence_reason,
  (payload ->> '$.absence_also_recorded') is not null as claims_absence
from staging.event
where event_type in ('session.scheduled', 'session.held', 'session.missed', 'session.cancelled')
