-- 23. After countertransference (over- or under-involved), how does the client rate the next session?
-- Reading: client's rating of the next session as its distance from the client's own mean (detrended: from the client's own line), for
--   sessions with each code and for all other held sessions. Below that of `none` the code is followed by a worse session.
-- Caveats: `none` are sessions without a rating, which includes those nobody looked at.

with code as (
  select distinct site_id, client_id, episode_id, session_number, code from marts.countertransference
)

select
  coalesce(code.code, 'none') as code,
  count(*) as n,
  avg(later.within) as next_within,
  stddev_samp(later.within) / sqrt(count(*)) as se,
  avg(later.detrended) as next_detrended
from marts.session as held
inner join marts.alliance_session as later
  on held.site_id = later.site_id
  and held.client_id = later.client_id
  and held.episode_id = later.episode_id
  and held.session_number + 1 = later.session_number
left join code
  on held.site_id = code.site_id
  and held.client_id = code.client_id
  and held.episode_id = code.episode_id
  and held.session_number = code.session_number
where held.status = 'held' and later.rater = 'client' and later.scale = 'total' and later.within is not null
group by code.code
order by code.code nulls last
