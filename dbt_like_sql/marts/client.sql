-- marts.client: clients as they were enrolled
-- grain: site_id, client_id
-- scope: site
-- source: own rule of this project.
-- rules: `as_enrolled`: what the site's report of the enrolment says now; of several reports the one recorded last. Clients who
--        withdrew consent with mode `exclude` or `erase` are not here.

with enrolled as (
  select
    event.site_id,
    event.event_id,
    event.client_id,
    event.recorded_day,
    (event.payload ->> '$.arm') as arm,
    (event.payload ->> '$.treatment_modality') as treatment_modality,
    (event.payload ->> '$.age_years')::integer as age_years,
    (event.payload ->> '$.gender') as gender,
    count(*) over (partition by event.site_id, event.client_id)::integer as n_reports
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'client.enrolled' and waits_for is null
)

select
  site_id,
  client_id,
  arm,
  treatment_modality,
  age_years,
  gender,
  n_reports,
  'as_enrolled' as rule_id,
  event_id
from enrolled
qualify row_number() over (partition by site_id, client_id order by recorded_day desc nulls last, event_id desc) = 1
