-- staging.event: what each site says now
-- grain: site_id, event_id
-- scope: site
-- The highest revision of an event id holds. Two contents under the same revision are a CONFLICT: neither is used,
-- and the row keeps its key only. A retraction removes. Nothing depends on the order in which facts arrived.
-- `episode_id` is '1' where the site does not number episodes.

with fact as (
  select * from log.fact where status = 'accepted'
),

-- few facts are ever told again
told_again as (
  select site_id, event_id
  from fact
  group by site_id, event_id
  having count(*) > 1
),

contradicted as (
  select site_id, event_id, revision, count(*) as statements
  from fact
  inner join told_again using (site_id, event_id)
  group by site_id, event_id, revision
  having count(*) > 1
),

newest as (
  select fact.*
  from fact
  anti join told_again using (site_id, event_id)
  union all
  select unnest(arg_max(fact, fact.revision))
  from fact
  inner join told_again using (site_id, event_id)
  group by fact.site_id, fact.event_id
),

judged as (
  select
    newest.*,
    case
      when contradicted.statements is not null then 'conflict'
      when newest.op = 'retract' then 'retracted'
      else 'active'
    end as state
  from newest
  left join contradicted using (site_id, event_id, revision)
)

select
  site_id,
  event_id,
  revision,
  state,
  case when state = 'active' then event_type end as event_type,
  case when state = 'active' then schema_version end as schema_version,
  case when state = 'active' then client_id end as client_id,
  case when state = 'active' then therapist_id end as therapist_id,
  case when state = 'active' then coalesce(episode_id, '1') end as episode_id,
  case when state = 'active' then session_number end as session_number,
  case when state = 'active' then study_day end as study_day,
  case when state = 'active' then coalesce(recorded_day, study_day) end as recorded_day,
  case when state = 'active' then recorded_day is not null end as says_when_recorded,
  case when state = 'active' then actor_id end as actor_id,
  case when state = 'active' then actor_role end as actor_role,
  case when state = 'active' then payload end as payload
from judged
