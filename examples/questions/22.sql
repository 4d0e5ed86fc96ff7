-- 22. How much of the variance in alliance and outcome lies between therapists?
-- Reading: ICC(1) by analysis of variance (with n0, the size of groups it takes) and by restricted maximum likelihood, over all sites
--   and per site. Reviews find .05 to .10 for outcome and somewhat more for alliance.
-- Caveats: the ANOVA estimate may be negative; that means none can be seen. With few therapists at a site it says next to nothing.
--   Over all sites, differences between sites are in it: see rule_id reml_site for both.

select
  coalesce(site_id, 'all sites') as site,
  quantity,
  instrument,
  rater,
  rule_id,
  n_groups as n_therapists,
  n_values as n_clients,
  n0,
  ms_between,
  ms_within,
  share as icc
from marts.variance_share
where level = 'therapist' and rule_id in ('anova_therapist', 'reml_therapist', 'reml_site')
order by site_id nulls first, quantity, instrument, rater, rule_id
