-- 27. What came out, site by site?
-- Reading: by outcome rule: clients with both scores, means, effect size d (by the SD before), bias-corrected effect with its 95 %
--   interval, and what became of the clients. Plus is better for every instrument.
-- Caveats: the share of the recovered is of those on the clinical side before. Clients without a second score are missing from all but n_clients.
--   The pooled effect stands in marts.pooled_outcome.

select
  instrument,
  rule_id,
  site_id,
  n_clients,
  n_pairs,
  pre_mean,
  post_mean,
  d_pre as d,
  smcr as effect,
  smcr - 1.96 * sqrt(smcr_variance) as low,
  smcr + 1.96 * sqrt(smcr_variance) as high,
  n_clinical_pre,
  n_recovered,
  n_improved,
  n_unchanged,
  n_deteriorated,
  recovered_share
from marts.site_outcome
where rater = 'client'
order by instrument, rule_id, site_id
