-- 9. How many ruptures are there per ten sessions, by rule and by source?
-- Reading: ruptures found by each rule over the sessions that it could judge (rated, asked about, coded, or talked about in an
--   interview). The rules stand side by side because they do not agree: choose one before you look at results.
-- Caveats: interviews and codings are about chosen sessions, not about all.

with judged as (
  select source, basis, count(*) as n_sessions, count(distinct (site_id, client_id, episode_id)) as n_courses
  from marts.rupture_session
  group by source, basis
),

found as (
  select rule_id, source, basis, count(*) as n_ruptures, count(distinct (site_id, client_id, episode_id)) as n_courses_with
  from marts.rupture_event
  group by rule_id, source, basis
)

select
  found.basis,
  found.rule_id,
  found.source,
  judged.n_sessions,
  found.n_ruptures,
  10 * found.n_ruptures / judged.n_sessions as per_ten_sessions,
  found.n_courses_with / judged.n_courses as share_of_courses
from found
inner join judged using (source, basis)
order by found.basis, found.rule_id, found.source
