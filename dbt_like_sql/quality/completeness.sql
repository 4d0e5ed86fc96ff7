-- quality.completeness: forms that study.yaml expects against forms in use
-- grain: site_id, measure_id, session_number
-- scope: site
-- A form is expected after (or before) every held session the protocol names, once per enrolled client at intake and
-- once per ended treatment at the end; `session_number` is null for the latter two. Missed sessions expect nothing.

with measure as (
  select * from study.measure
),

held as (
  select * from marts.session where status = 'held'
),

person as (
  select distinct
    site_id,
    client_id,
    case event_type when 'client.enrolled' then 'intake' else 'end' end as occasion
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event_type in ('client.enrolled', 'treatment.ended') and waits_for is null
),

due as (
  select held.site_id, measure.measure_id, held.client_id, held.episode_id, held.session_number
  from held
  inner join measure
    on measure.occasion in ('pre_session', 'post_session', 'between_sessions')
    and (
      measure.due_all
      or list_contains(measure.due_sessions, held.session_number)
      or (held.session_number >= measure.due_start and (held.session_number - measure.due_start) % measure.due_every = 0)
    )
  union all
  select person.site_id, measure.measure_id, person.client_id, null as episode_id, null as session_number
  from person
  inner join measure using (occasion)
),

received as (
  select distinct
    questionnaire.site_id,
    measure.measure_id,
    questionnaire.client_id,
    case when measure.occasion in ('intake', 'end') then null else questionnaire.episode_id end as episode_id,
    case when measure.occasion in ('intake', 'end') then null else questionnaire.session_number end as session_number
  from intermediate.questionnaire
  inner join measure using (instrument, version, rater, occasion)
)

select
  due.site_id,
  due.measure_id,
  due.session_number,
  count(*)::integer as expected,
  count(received.client_id)::integer as received
from due
left join received
  on due.site_id = received.site_id
  and due.measure_id = received.measure_id
  and due.client_id = received.client_id
  and due.episode_id is not distinct from received.episode_id
  and due.session_number is not distinct from received.session_number
group by due.site_id, due.measure_id, due.session_number
