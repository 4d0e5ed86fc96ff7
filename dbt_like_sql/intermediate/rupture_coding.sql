-- intermediate.rupture_coding: what observers marked in a coded session
-- grain: site_id, client_id, episode_id, session_number
-- scope: site
-- Sessions coded in a scheme that knows withdrawal, confrontation or resolution at this site. The consensus counts if there
-- is one, else the primary coding, else the second one: never two of them mixed. Several coders of that role are averaged.

with passage as (
  select *
  from intermediate.coded_passage
  where event_type = 'coding.segment'
),

scheme as (
  select distinct site_id, scheme
  from passage
  where family in ('withdrawal', 'confrontation', 'resolution')
),

pass as (
  select
    event.site_id,
    event.event_id,
    event.client_id,
    event.therapist_id,
    event.episode_id,
    event.session_number,
    event.actor_id,
    event.payload ->> '$.scheme' as scheme,
    event.payload ->> '$.coding_role' as coding_role,
    (event.payload ->> '$.coded_minutes')::decimal(18, 6) as coded_minutes,
    (event.payload ->> '$.extent_resolved')::integer as extent_resolved
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'coding.pass' and waits_for is null
),

told as (
  select
    site_id, event_id, client_id, therapist_id, episode_id, session_number, actor_id, scheme, coding_role,
    coded_minutes, extent_resolved, null::varchar as family, null::integer as significance
  from pass
  union all
  select
    site_id, event_id, client_id, therapist_id, episode_id, session_number, actor_id, scheme, coding_role,
    null as coded_minutes, null as extent_resolved, family, significance
  from passage
),

ranked as (
  select
    told.*,
    dense_rank() over (
      partition by site_id, client_id, episode_id, session_number
      order by case coding_role when 'consensus' then 1 when 'primary' then 2 else 3 end
    ) as place
  from told
  inner join scheme using (site_id, scheme)
)

select
  site_id,
  client_id,
  episode_id,
  session_number,
  max(therapist_id) as therapist_id,
  max(coding_role) as coding_role,
  count(distinct actor_id)::integer as n_coders,
  sum(coded_minutes)::double / count(coded_minutes) as coded_minutes,
  avg(extent_resolved order by event_id) as extent_resolved,
  count(*) filter (where family = 'withdrawal') / count(distinct actor_id) as n_withdrawal,
  count(*) filter (where family = 'confrontation') / count(distinct actor_id) as n_confrontation,
  count(*) filter (where family = 'resolution') / count(distinct actor_id) as n_resolution,
  max(significance) filter (where family in ('withdrawal', 'confrontation')) as significance,
  list(struct_pack(family := family, significance := significance) order by event_id) filter (where family is not null) as markers,
  min(event_id) as event_id
from ranked
where place = 1
group by site_id, client_id, episode_id, session_number
