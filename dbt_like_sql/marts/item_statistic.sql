-- marts.item_statistic: items of a scale at each site
-- grain: site_id, instrument, version, rater, scale, rule_id, item
-- scope: site
-- source: Cronbach 1951, Psychometrika 16, 297-334; psych 2.2.9 for the conventions.
-- rules and forms as in marts.scale_reliability; reversed items are turned. item_total_r is the correlation with the mean of all
-- answered items, item_rest_r with the sum of the other items (sum of the covariances with them / root of both variances).

with item as (
  select site_id, instrument, version, rater, scale, rule_id, unnest(found.items) as told
  from intermediate.scale_consistency
)

select
  site_id,
  instrument,
  version,
  rater,
  scale,
  rule_id,
  told.item as item,
  told.n_clients as n_clients,
  told.mean as mean,
  told.sd as sd,
  told.item_total_r as item_total_r,
  told.item_rest_r as item_rest_r,
  told.alpha_without as alpha_without
from item
