-- marts.scale_reliability: internal consistency of each scale at each site
-- grain: site_id, instrument, version, rater, scale, rule_id
-- scope: site
-- source: Cronbach 1951, Psychometrika 16, 297-334; Guttman 1945, Psychometrika 10, 255-282 (lambda 6).
-- rules: `complete`: forms with every item of the scale (listwise); `pairwise`: all forms with an answer to it, each
--        covariance over the clients who answered both items, as psych 2.2.9 does unless told otherwise.
-- alpha = k / (k - 1) (1 - sum of the item variances / sum of all covariances), variances with n - 1; alpha_standardised the
-- same of the correlations; lambda_6 = 1 - sum of what other items do not explain of each / sum of all correlations. One form
-- per client (the first), so that persons are counted and not forms. Item by item: marts.item_statistic.

select
  site_id,
  instrument,
  version,
  rater,
  scale,
  rule_id,
  n_items,
  found.n_clients as n_clients,
  found.mean as mean,
  found.sd as sd,
  found.alpha as alpha,
  found.alpha_standardised as alpha_standardised,
  found.lambda_6 as lambda_6,
  found.mean_r as mean_r
from intermediate.scale_consistency
