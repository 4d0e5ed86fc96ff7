-- marts.site_outcome: outcome of a site by each rule, as it goes into a forest plot
-- grain: site_id, instrument, version, rater, rule_id
-- scope: study
-- source: Becker 1988, British Journal of Mathematical and Statistical Psychology 41, 257-278 (SMCR and its variance);
--         Hedges 1981 (exact correction J); Wilson 1927 (interval of a share).
-- Over clients with both scores of the rule, n of them, in the direction of health (plus is better):
--   d_pre   mean change / SD before            smcr    d_pre J(n - 1), variance 2 (1 - r) / n + smcr smcr / (2 n)
--   smcc    mean change / SD of change J(n - 1), variance 1 / n + smcc smcc / (2 n); the two are never mixed
--   J(m) = exp(lgamma(m / 2) - ln sqrt(m / 2) - lgamma((m - 1) / 2))
-- Too few clients for a figure give an empty cell, never zero. `recovered_share` is of the clients who began on the clinical
-- side, the others of all with both scores. Intervals: 95 %.

with pair as (
  select * from marts.outcome_client
),

rule as (
  select distinct instrument, version, improvement_sign from study.outcome_rule
),

moment as (
  select
    site_id,
    instrument,
    version,
    rater,
    rule_id,
    count(*)::integer as n_clients,
    count(change)::integer as n_pairs,
    avg(pre_score order by client_id, episode_id) filter (where change is not null) as pre_mean,
    stddev_samp(pre_score order by client_id, episode_id) filter (where change is not null) as pre_sd,
    avg(post_score order by client_id, episode_id) filter (where change is not null) as post_mean,
    stddev_samp(post_score order by client_id, episode_id) filter (where change is not null) as post_sd,
    covar_samp(pre_score, post_score order by client_id, episode_id) filter (where change is not null) as covariance,
    avg(improvement order by client_id, episode_id) as improvement_mean,
    stddev_samp(improvement order by client_id, episode_id) as improvement_sd,
    count(*) filter (where category is not null)::integer as n_judged,
    count(*) filter (where category is not null and is_clinical_pre)::integer as n_clinical_pre,
    count(*) filter (where category = 'recovered')::integer as n_recovered,
    count(*) filter (where category = 'recovered' and is_clinical_pre)::integer as n_recovered_of_clinical,
    count(*) filter (where category = 'improved')::integer as n_improved,
    count(*) filter (where category in ('unchanged', 'non_reliably_recovered'))::integer as n_unchanged,
    count(*) filter (where category in ('deteriorated', 'harmed'))::integer as n_deteriorated
  from pair
  group by site_id, instrument, version, rater, rule_id
),

sized as (
  select
    moment.*,
    covariance / nullif(pre_sd * post_sd, 0) as correlation,
    improvement_mean / nullif(pre_sd, 0) as d_pre,
    improvement_mean / nullif(improvement_sd, 0) as d_change,
    case when n_pairs >= 3
      then exp(lgamma((n_pairs - 1) / 2) - ln(sqrt((n_pairs - 1) / 2)) - lgamma((n_pairs - 2) / 2))
    end as correction,
    1.959963984540054 as z
  from moment
)

select
  site_id,
  instrument,
  version,
  rater,
  rule_id,
  n_clients,
  n_pairs,
  pre_mean,
  pre_sd,
  post_mean,
  post_sd,
  correlation,
  improvement_mean,
  improvement_sd,
  improvement_sd ** 2 / n_pairs as improvement_variance,
  d_pre,
  d_pre * correction as smcr,
  2 * (1 - correlation) / n_pairs + (d_pre * correction) ** 2 / (2 * n_pairs) as smcr_variance,
  d_change * correction as smcc,
  1 / n_pairs + (d_change * correction) ** 2 / (2 * n_pairs) as smcc_variance,
  n_judged,
  n_clinical_pre,
  n_recovered,
  n_improved,
  n_unchanged,
  n_deteriorated,
  n_recovered_of_clinical / nullif(n_clinical_pre, 0) as recovered_share,
  (n_recovered_of_clinical + z * z / 2 - z * sqrt(
    n_recovered_of_clinical * (n_clinical_pre - n_recovered_of_clinical) / nullif(n_clinical_pre, 0) + z * z / 4
  )) / (nullif(n_clinical_pre, 0) + z * z) as recovered_low,
  (n_recovered_of_clinical + z * z / 2 + z * sqrt(
    n_recovered_of_clinical * (n_clinical_pre - n_recovered_of_clinical) / nullif(n_clinical_pre, 0) + z * z / 4
  )) / (nullif(n_clinical_pre, 0) + z * z) as recovered_high,
  n_deteriorated / nullif(n_judged, 0) as deteriorated_share,
  (n_deteriorated + z * z / 2 - z * sqrt(
    n_deteriorated * (n_judged - n_deteriorated) / nullif(n_judged, 0) + z * z / 4
  )) / (nullif(n_judged, 0) + z * z) as deteriorated_low,
  (n_deteriorated + z * z / 2 + z * sqrt(
    n_deteriorated * (n_judged - n_deteriorated) / nullif(n_judged, 0) + z * z / 4
  )) / (nullif(n_judged, 0) + z * z) as deteriorated_high
from sized
