-- 3. Do poor early ratings precede early drop-out?
-- Reading: share of clients who had dropped out by session 6, by third of their rating in sessions 1 and 2 (1 is the lowest), under each
--   definition of drop-out. A share that falls from third 1 to third 3 says yes.
-- Caveats: only clients who held a session beyond the landmark (marts.dropout.reached_landmark), so that the rating came first; clients
--   still in treatment before session 6 are left out. The definitions select different people.

with early as (
  select
    dyad.site_id,
    dyad.client_id,
    dyad.episode_id,
    dyad.instrument,
    dyad.early_s1_2 as rating,
    ntile(3) over (partition by dyad.instrument, dyad.version order by dyad.early_s1_2, dyad.site_id, dyad.client_id) as third
  from marts.alliance_dyad as dyad
  inner join marts.dropout as course using (site_id, client_id, episode_id)
  where dyad.rater = 'client' and dyad.scale = 'total' and dyad.early_s1_2 is not null and course.reached_landmark
),

judged as (
  select
    early.instrument,
    early.third,
    early.rating,
    course.is_censored,
    course.last_held_session,
    unnest([
      {'definition': 'missed_last', 'dropped': course.missed_last},
      {'definition': 'unilateral', 'dropped': course.unilateral},
      {'definition': 'not_improved', 'dropped': course.not_improved},
      {'definition': 'few_sessions', 'dropped': course.few_sessions}
    ]) as said
  from early
  inner join marts.dropout as course using (site_id, client_id, episode_id)
)

select
  instrument,
  said.definition as definition,
  third,
  avg(rating) as mean_rating,
  count(*) as n,
  count(*) filter (where said.dropped and last_held_session <= 6) as n_dropped,
  avg((said.dropped and last_held_session <= 6)::integer) as share
from judged
where said.dropped is not null and (not is_censored or last_held_session > 6)
group by instrument, definition, third
order by instrument, definition, third
