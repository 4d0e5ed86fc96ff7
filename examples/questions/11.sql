-- 11. Do client, therapist, drop of the rating and observer point at the same session?
-- Reading: for each pair of sources (one rule each) the four-fold table over the sessions that both could judge, added up over sites,
--   the share on which they agree, and kappa. Kappa near zero: they see different things, which is what studies find.
-- Caveats: agreement is high whenever ruptures are rare; look at kappa and at n_both. Other rules stand in marts.rupture_agreement.

with summed as (
  select
    rule_id,
    source,
    other_rule_id,
    other_source,
    sum(n_both) as n_both,
    sum(n_first_only) as n_first_only,
    sum(n_other_only) as n_other_only,
    sum(n_neither) as n_neither,
    sum(n_sessions) as n
  from marts.rupture_agreement
  where source <> other_source
    and (rule_id in ('drop_own_sd_k1', 'marker', 'interview_code') or rule_id like 'reported%')
    and (other_rule_id in ('drop_own_sd_k1', 'marker', 'interview_code') or other_rule_id like 'reported%')
  group by rule_id, source, other_rule_id, other_source
),

compared as (
  select
    *,
    (n_both + n_neither) / n as agreement,
    ((n_both + n_first_only) * (n_both + n_other_only) + (n_neither + n_other_only) * (n_neither + n_first_only)) / (n * n)
      as chance
  from summed
)

select
  rule_id,
  source,
  other_rule_id,
  other_source,
  n,
  n_both,
  n_first_only,
  n_other_only,
  n_neither,
  agreement,
  case when chance < 1 then (agreement - chance) / (1 - chance) end as kappa
from compared
order by rule_id, source, other_rule_id, other_source
