-- 31. What changed since the last data release?
-- Reading: by day of receipt and site, from the newest: facts that were corrected, retracted, stated again, or came late (after a later
--   session of the same client had been told of), by kind of event, and the greatest delay in sessions. Read down to the
--   commit of your release (meta.build of the released file says it).
-- Caveats: late is judged by the order of deliveries, so that it says nothing within one delivery. `dyadlog history SITE EVENT_ID` shows
--   one fact with all its revisions.

select
  left(received_at, 10) as received_on,
  max(commit_seq) as last_commit,
  site_id,
  kind,
  event_type,
  count(*) as n_facts,
  count(distinct client_id) as n_clients,
  max(sessions_late) as most_sessions_late
from quality.change
group by received_on, site_id, kind, event_type
order by received_on desc, last_commit desc, site_id, kind, event_type
