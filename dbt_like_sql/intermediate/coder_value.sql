-- intermediate.coder_value: what each coder of a double-coded session found in it
-- grain: site_id, client_id, episode_id, session_number, scheme, level, code, measure, coder_id
-- scope: site
-- A session is double-coded if two coders or more coded it as primary or reliability coder; consensus codes play no part. Who
-- coded a session in both roles counts with the primary reading. A coder who made a pass and did not give a code found none:
-- the count is 0. Who made no pass is missing.

with reading as (
  select site_id, client_id, episode_id, session_number, scheme, coder_id, coding_role, recorded_day, extent_resolved
  from intermediate.coding_pass
  where coding_role <> 'consensus'
  union all
  select site_id, client_id, episode_id, session_number, scheme, coder_id, coding_role, recorded_day, null
  from marts.coding_segment
  where coding_role <> 'consensus'
),

coder as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    scheme,
    coder_id,
    min(coding_role) as coding_role,
    min(recorded_day) as recorded_day,
    arg_min(extent_resolved, (coding_role, extent_resolved)) as extent_resolved
  from reading
  group by site_id, client_id, episode_id, session_number, scheme, coder_id
),

shared as (
  select *
  from coder
  qualify count(*) over (partition by site_id, client_id, episode_id, session_number, scheme) > 1
),

segment as (
  select
    coding.site_id,
    coding.client_id,
    coding.episode_id,
    coding.session_number,
    coding.scheme,
    coding.coder_id,
    coding.code,
    coding.family
  from marts.coding_segment as coding
  inner join shared using (site_id, client_id, episode_id, session_number, scheme, coder_id, coding_role)
),

named as (
  select site_id, client_id, episode_id, session_number, scheme, coder_id, 'code' as level, code from segment
  union all
  select site_id, client_id, episode_id, session_number, scheme, coder_id, 'family', family
  from segment
  where family is not null
  union all
  select site_id, client_id, episode_id, session_number, scheme, coder_id, 'all', 'all' from segment
),

counted as (
  select site_id, client_id, episode_id, session_number, scheme, coder_id, level, code, count(*)::double as n
  from named
  group by site_id, client_id, episode_id, session_number, scheme, coder_id, level, code
),

category as (
  select distinct site_id, scheme, level, code from named
),

found as (
  select
    shared.site_id,
    shared.client_id,
    shared.episode_id,
    shared.session_number,
    shared.scheme,
    category.level,
    category.code,
    shared.coder_id,
    shared.recorded_day,
    coalesce(counted.n, 0) as n
  from shared
  inner join category on shared.site_id = category.site_id and shared.scheme = category.scheme
  left join counted
    on shared.site_id = counted.site_id
    and shared.client_id = counted.client_id
    and shared.episode_id = counted.episode_id
    and shared.session_number = counted.session_number
    and shared.scheme = counted.scheme
    and shared.coder_id = counted.coder_id
    and category.level = counted.level
    and category.code = counted.code
)

select
  site_id, client_id, episode_id, session_number, scheme, level, code, 'count' as measure, coder_id, recorded_day, n as value
from found
union all
select
  site_id, client_id, episode_id, session_number, scheme, level, code, 'presence', coder_id, recorded_day, (n > 0)::double
from found
union all
select
  site_id,
  client_id,
  episode_id,
  session_number,
  scheme,
  'session',
  'extent_resolved',
  'rating',
  coder_id,
  recorded_day,
  extent_resolved::double
from shared
where extent_resolved is not null
