-- 13. Markers of withdrawal and confrontation per session hour: which precede drop-out?
-- Reading: mean markers per coded hour in the coded sessions of clients who dropped out (unilaterally) and of those who did not, and
--   the difference in SDs (d, plus: more among those who dropped out). One figure per client, so that clients count, not sessions.
-- Caveats: coded sessions are a sample; a client without one is not in it. Studies report d of about .7 for confrontation.

with client as (
  select
    course.unilateral,
    session.site_id,
    session.client_id,
    avg(60 * session.n_withdrawal / session.coded_minutes) as withdrawal,
    avg(60 * session.n_confrontation / session.coded_minutes) as confrontation,
    avg(60 * session.n_resolution / session.coded_minutes) as resolution
  from marts.rupture_session as session
  inner join marts.dropout as course using (site_id, client_id, episode_id)
  where session.basis = 'coding' and session.coded_minutes > 0 and course.unilateral is not null
  group by course.unilateral, session.site_id, session.client_id
),

marker as (
  select
    unilateral,
    unnest([
      {'family': 'withdrawal', 'per_hour': withdrawal},
      {'family': 'confrontation', 'per_hour': confrontation},
      {'family': 'resolution', 'per_hour': resolution}
    ]) as seen
  from client
),

compared as (
  select
    seen.family as family,
    count(*) filter (where unilateral) as n_dropped,
    count(*) filter (where not unilateral) as n_stayed,
    avg(seen.per_hour) filter (where unilateral) as per_hour_dropped,
    avg(seen.per_hour) filter (where not unilateral) as per_hour_stayed,
    var_samp(seen.per_hour) filter (where unilateral) as variance_dropped,
    var_samp(seen.per_hour) filter (where not unilateral) as variance_stayed
  from marker
  group by family
)

select
  family,
  n_dropped,
  n_stayed,
  per_hour_dropped,
  per_hour_stayed,
  (per_hour_dropped - per_hour_stayed) / nullif(sqrt(
    ((n_dropped - 1) * variance_dropped + (n_stayed - 1) * variance_stayed) / nullif(n_dropped + n_stayed - 2, 0)
  ), 0) as d
from compared
order by family
