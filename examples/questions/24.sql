-- 24. Is the alliance better in sessions with an opening or closing ritual?
-- Reading: client's rating in sessions with and without a ritual: level (points of the common range) and distance from the client's own
--   mean. The level mixes clients; the distance compares sessions of the same client.
-- Caveats: only sessions that somebody looked at (marts.ritual). A ritual every time leaves nothing to compare within the client.

select
  ritual.phase,
  ritual.is_observed,
  count(*) as n_sessions,
  count(distinct (ritual.site_id, ritual.client_id)) as n_clients,
  avg(alliance.common_mean) as level,
  avg(alliance.within) as within,
  stddev_samp(alliance.within) / sqrt(count(*)) as se
from marts.ritual as ritual
inner join marts.alliance_session as alliance using (site_id, client_id, episode_id, session_number)
where alliance.rater = 'client' and alliance.scale = 'total' and alliance.within is not null
group by ritual.phase, ritual.is_observed
order by ritual.phase, ritual.is_observed
