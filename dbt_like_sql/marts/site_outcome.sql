-- marts.site_outcome: outcome of a site by each rule, as it goes into a forest plot
-- grain: site_id, instrument, version, rater, rule_id
-- scope: study
-- python: t_quantile, normal_below
-- source: Becker 1988, British Journal of Mathematical and Statistical Psychology 41, 257-278 (SMCR and its variance);
--         Hedges 1981 (exact correction J); Wilson 1927 (interval of a share); Hageman & Arrindell 1999 (shares of a group).
-- Over clients with both scores of the rule, n of them, in the direction of health (plus is better):
--   d_pre   mean change / SD before            smcr    d_pre J(n - 1), variance 2 (1 - r) / n + smcr smcr / (2 n)
--   smcc    mean change / SD of change J(n - 1), variance 1 / n + smcc smcc / (2 n); the two are never mixed
--   d_change  the same as smcc without J (d_z of some papers); d_pooled  mean change / root of the mean of both variances,
--   g_pooled  d_pooled J(2 n - 2): as if before and after were two groups, to be read beside papers that did so
--   J(m) = exp(lgamma(m / 2) - ln sqrt(m / 2) - lgamma((m - 1) / 2))
-- improvement_low, improvement_high: mean change and its t interval. For rules in points `relevance` reads it against the
-- points that count: not_significant (zero inside), worse (all of it below zero), below_points (all of it below the points),
-- maybe_relevant (points inside, mean below them), probably_relevant (points inside, mean at them or above), relevant (all
-- above). clinicalsignificance 3.0.0 calls worse groups below_points, and asks for zero only where a lower score is better.
-- For rules by the method of Hageman & Arrindell, with Phi the normal distribution, M, S mean and SD of the site, and the
-- reliabilities and the cut-off of marts.outcome_reference:
--   changed_share  Phi(mean change / (SD of change sqrt(r_d)))    functional_share  Phi(d (M2 - cut-off) / (S2 sqrt(r_post)))
-- Too few clients for a figure give an empty cell, never zero. `recovered_share` is of the clients who began on the clinical
-- side, the others of all with both scores. Intervals: 95 %.

with pair as (
  select * from marts.outcome_client
),

rule as (
  select * from study.outcome_rule
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
    improvement_mean / nullif(sqrt((pre_sd ** 2 + post_sd ** 2) / 2), 0) as d_pooled,
    case when n_pairs >= 2 then exp(lgamma(n_pairs - 1) - ln(sqrt(n_pairs - 1)) - lgamma(n_pairs - 1.5)) end
      as pooled_correction,
    case when improvement_sd is not null then t_quantile(n_pairs - 1) * improvement_sd / sqrt(n_pairs) end
      as improvement_margin,
    case when n_pairs >= 3
      then exp(lgamma((n_pairs - 1) / 2) - ln(sqrt((n_pairs - 1) / 2)) - lgamma((n_pairs - 2) / 2))
    end as correction,
    1.959963984540054 as z
  from moment
),

ranged as (
  select
    sized.*,
    improvement_mean - improvement_margin as improvement_low,
    improvement_mean + improvement_margin as improvement_high,
    rule.improvement_sign,
    rule.package_relevance,
    reference.cutoff,
    reference.reliable_change as points,
    reference.method,
    reference.post_reliability,
    reference.difference_reliability
  from sized
  left join rule using (instrument, version, rule_id)
  left join marts.outcome_reference as reference using (instrument, version, rater, rule_id)
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
  improvement_low,
  improvement_high,
  case
    when method is distinct from 'points' or improvement_low is null then null
    when package_relevance and improvement_sign > 0 and improvement_low < 0 and improvement_high between 0 and points then null
    when not (package_relevance and improvement_sign > 0) and improvement_low <= 0 and improvement_high >= 0
      then 'not_significant'
    when not package_relevance and improvement_high < 0 then 'worse'
    when improvement_high < points then 'below_points'
    when improvement_low > points then 'relevant'
    when improvement_mean < points then 'maybe_relevant'
    when improvement_mean >= points then 'probably_relevant'
  end as relevance,
  d_pre,
  d_pre * correction as smcr,
  2 * (1 - correlation) / n_pairs + (d_pre * correction) ** 2 / (2 * n_pairs) as smcr_variance,
  d_change * correction as smcc,
  1 / n_pairs + (d_change * correction) ** 2 / (2 * n_pairs) as smcc_variance,
  d_change,
  d_pooled,
  d_pooled * pooled_correction as g_pooled,
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
  )) / (nullif(n_judged, 0) + z * z) as deteriorated_high,
  case when method = 'ha' and difference_reliability > 0
    then normal_below(improvement_mean / nullif(improvement_sd * sqrt(difference_reliability), 0))
  end as changed_share,
  case when method = 'ha' and post_reliability > 0
    then normal_below(improvement_sign * (post_mean - cutoff) / nullif(post_sd * sqrt(post_reliability), 0))
  end as functional_share
from ranged
