-- 7. Which dyads had no established alliance by session 5?
-- Reading: one row per dyad, by the client's ratings and the rule of the study: the last rating in sessions 3 to 5 against the
--   threshold (points of the common range), and ruptures that were not repaired by then.
-- Caveats: no cut-off was ever published; rule and threshold are this study's own (`alliance` in study.yaml) and stand in every row.
--   `unknown` (too few ratings) is not `not_established` and is not listed.

select
  site_id,
  client_id,
  rule_id,
  threshold,
  last_early_session,
  last_early,
  n_early,
  n_unrepaired,
  unless_rule
from marts.alliance_dyad
where rater = 'client' and scale = 'total' and established = 'not_established'
order by last_early, site_id, client_id
