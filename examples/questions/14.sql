-- 14. How often did clients withdraw (passive, not responding) in sessions 3 and 5, seen from both chairs?
-- Reading: passages with the code in the recall interviews about both sessions, per dyad and perspective. 0: the interview was coded and
--   has none; empty: there is no coded interview.
-- Caveats: `withdrawal` is the code of the simulated study; put the code of your code book. Where two coders coded an interview, it is
--   the mean of both.

with coded as (
  select site_id, client_id, perspective, session_number, avg(n_passages) as passages
  from marts.recall_code
  where code = 'withdrawal'
  group by site_id, client_id, perspective, session_number
)

select
  site_id,
  client_id,
  perspective,
  max(passages) filter (where session_number = 3) as session_3,
  max(passages) filter (where session_number = 5) as session_5
from coded
group by site_id, client_id, perspective
order by site_id, client_id, perspective
