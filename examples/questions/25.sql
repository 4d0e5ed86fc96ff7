-- 25. Telephone and chat against meeting in person: alliance, its variability, ruptures, missing forms, drop-out
-- Reading: by format of the held session: client's rating (level on the common range, SD of the distance from the own mean), share of
--   sessions without the client's form, drops of one own SD per ten rated sessions; and the share of unilateral drop-outs of clients
--   whose sessions were mostly of that format.
-- Caveats: who phones is not who comes. Sessions without a form are not like the others, so that missing forms colour the rating.

with session as (
  select
    held.site_id,
    held.client_id,
    held.episode_id,
    coalesce(held.format, 'not reported') as format,
    alliance.common_mean,
    alliance.within,
    rupture.session_number is not null as is_rupture
  from marts.session as held
  left join marts.alliance_session as alliance
    on held.site_id = alliance.site_id
    and held.client_id = alliance.client_id
    and held.episode_id = alliance.episode_id
    and held.session_number = alliance.session_number
    and alliance.rater = 'client'
    and alliance.scale = 'total'
  left join marts.rupture_event as rupture
    on held.site_id = rupture.site_id
    and held.client_id = rupture.client_id
    and held.episode_id = rupture.episode_id
    and held.session_number = rupture.session_number
    and rupture.rule_id = 'drop_own_sd_k1'
    and rupture.source = 'client'
  where held.status = 'held'
),

usual as (
  select site_id, client_id, episode_id, mode(format order by format) as format
  from session
  group by site_id, client_id, episode_id
),

left_treatment as (
  select usual.format, count(*) as n_clients, avg(course.unilateral::integer) as dropped_out
  from usual
  inner join marts.dropout as course using (site_id, client_id, episode_id)
  group by usual.format
)

select
  session.format,
  count(*) as n_sessions,
  count(session.common_mean) as n_rated,
  avg(session.common_mean) as level,
  stddev_samp(session.within) as within_sd,
  avg((session.common_mean is null)::integer) as form_missing,
  10 * count(*) filter (where session.is_rupture) / nullif(count(session.common_mean), 0) as drops_per_ten,
  left_treatment.n_clients,
  left_treatment.dropped_out
from session
left join left_treatment using (format)
group by session.format, left_treatment.n_clients, left_treatment.dropped_out
order by n_sessions desc, session.format
