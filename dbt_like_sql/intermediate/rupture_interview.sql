-- intermediate.rupture_interview: recall interviews that were done, with their codes
-- grain: site_id, client_id, episode_id, session_number, perspective
-- scope: site

with interview as (
  select
    event.site_id,
    event.client_id,
    event.episode_id,
    event.session_number,
    event.payload ->> '$.perspective' as perspective,
    max(event.therapist_id) as therapist_id,
    min(event.event_id) as event_id
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'recall.interview' and waits_for is null and (event.payload ->> '$.status') = 'done'
  group by event.site_id, event.client_id, event.episode_id, event.session_number, event.payload ->> '$.perspective'
),

moment as (
  select site_id, client_id, episode_id, session_number, perspective, count(*)::integer as n_codes,
    list(distinct code order by code) as codes
  from intermediate.coded_passage
  where event_type = 'recall.moment'
  group by site_id, client_id, episode_id, session_number, perspective
)

select
  interview.*,
  coalesce(moment.n_codes, 0) as n_codes,
  coalesce(moment.codes, []) as codes
from interview
left join moment using (site_id, client_id, episode_id, session_number, perspective)
