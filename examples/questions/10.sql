-- 10. How many ruptures are repaired, and how soon?
-- Reading: by rule and source: shares repaired, not repaired, and censored (the ratings end before it could be seen), and the
--   sessions to repair of those that were.
-- Caveats: repaired and unrepaired are shares of all ruptures; leave the censored ones out of the denominator only if you can say why
--   they ended. Window and tolerance of the repair belong to the rule.

select
  basis,
  rule_id,
  source,
  count(*) as n,
  avg((status = 'repaired')::integer) as repaired,
  avg((status = 'unrepaired')::integer) as unrepaired,
  avg((status = 'censored')::integer) as censored,
  median(sessions_to_repair) as median_sessions,
  max(sessions_to_repair) as most_sessions
from marts.rupture_event
group by basis, rule_id, source
order by basis, rule_id, source
