-- intermediate.treatment_end: how an episode ended, by the latest report
-- grain: site_id, client_id, episode_id
-- scope: site

with ended as (
  select
    event.site_id,
    event.event_id,
    event.client_id,
    event.episode_id,
    event.study_day,
    (event.payload ->> '$.initiator') as initiator,
    (event.payload ->> '$.reason') as reason,
    starts_with(event.payload ->> '$.ending', 'planned') as planned
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'treatment.ended' and waits_for is null
)

select site_id, client_id, episode_id, study_day, initiator, reason, planned
from ended
qualify row_number() over (
  partition by site_id, client_id, episode_id order by study_day desc nulls last, event_id desc
) = 1
