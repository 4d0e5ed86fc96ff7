-- marts.therapist: therapists of a site and their caseload
-- grain: site_id, therapist_id
-- scope: site
-- source: own rule of this project.
-- rules: `as_enrolled`: experience and training as the site says when the therapist enters the study (the latest report);
--        `seen_only`: the therapist is named in sessions and was never enrolled.
-- `person_id` is the same at all sites where study.yaml says that ids are shared (`shared_therapist_ids`): rows with one person_id
-- are one therapist who works at several sites. Otherwise it is empty, and a therapist is one at each site.

with enrolled as (
  select
    event.site_id,
    event.therapist_id,
    (event.payload ->> '$.years_experience')::double as years_experience,
    (event.payload ->> '$.training_level') as training_level,
    (event.payload ->> '$.orientation') as orientation
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'therapist.enrolled' and waits_for is null
  qualify row_number() over (
    partition by event.site_id, event.therapist_id order by event.recorded_day desc nulls last, event.event_id desc
  ) = 1
),

seen as (
  select
    site_id,
    therapist_id,
    count(distinct client_id)::integer as n_clients,
    count(*)::integer as n_sessions
  from intermediate.session_therapist
  group by site_id, therapist_id
),

every as (
  select site_id, therapist_id from enrolled
  union
  select site_id, therapist_id from seen
),

setting as (
  select shared_therapist_ids from study.setting
)

select
  every.site_id,
  every.therapist_id,
  case when setting.shared_therapist_ids then every.therapist_id end as person_id,
  coalesce(seen.n_clients, 0) as n_clients,
  coalesce(seen.n_sessions, 0) as n_sessions,
  enrolled.years_experience,
  enrolled.training_level,
  enrolled.orientation,
  case when enrolled.therapist_id is null then 'seen_only' else 'as_enrolled' end as rule_id
from every
left join enrolled on every.site_id = enrolled.site_id and every.therapist_id = enrolled.therapist_id
left join seen on every.site_id = seen.site_id and every.therapist_id = seen.therapist_id
cross join setting
