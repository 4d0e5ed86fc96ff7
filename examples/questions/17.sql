-- 17. Are all recall interviews there, and who is missing?
-- Reading: planned interviews by session and perspective: how many were done, declined, lost, are still to come (planned), are missing
--   (planned, the session was held, nothing was reported), or are not due (the session was not held). `open` names the clients.
-- Caveats: what is planned stands under `interviews` in study.yaml. One missing interview is normal; it is a row here and never a zero.

select
  site_id,
  session_number,
  perspective,
  count(*) as n,
  count(*) filter (where status = 'done') as done,
  count(*) filter (where status = 'declined') as declined,
  count(*) filter (where status = 'lost') as lost,
  count(*) filter (where status = 'planned') as planned,
  count(*) filter (where status = 'missing') as missing,
  count(*) filter (where status = 'not_due') as not_due,
  count(distinct interviewer_id) as interviewers,
  string_agg(client_id, ' ' order by client_id) filter (where status not in ('done', 'not_due')) as open
from marts.recall_interview
group by site_id, session_number, perspective
order by site_id, session_number, perspective
