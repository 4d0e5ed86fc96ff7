-- quality.acknowledgement: findings that a site has answered
-- grain: site_id, event_id
-- scope: site
-- The event `finding.acknowledged` as it stands now. Whether an answer still holds is decided in the report: it lapses
-- when the finding grows, gets worse or is resolved.

select
  site_id,
  event_id,
  revision,
  payload ->> '$.finding_id' as finding_id,
  payload ->> '$.note' as note,
  actor_role,
  recorded_day
from staging.event
where event_type = 'finding.acknowledged'
