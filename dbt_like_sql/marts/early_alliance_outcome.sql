-- marts.early_alliance_outcome: does a better early alliance go with a better outcome?
-- grain: site_id, instrument, version, rater, rule_id
-- scope: study
-- python: beyond_t
-- source: Fluckiger, Del Re, Wampold & Horvath 2018, Psychotherapy 55, 316-340 (295 studies, r = .278: question and yardstick);
--         partial correlation (r_yx - r_yz r_xz) / sqrt((1 - r_yz r_yz) (1 - r_xz r_xz)); Fisher 1921, Metron 1, 3-32 (z).
-- `instrument`, `version` and `rater` are those of the alliance, `rule_id` the outcome rule behind drop-out in study.yaml.
-- Early is the mean of the ratings up to the landmark session; the second outcome score must be from after it. Scores stand
-- as they are: where a lower score is the better one, a helpful alliance has a minus.
--   r_gain: with the residual gain over the reference sample (marts.outcome_client); spearman: ranks, ties share theirs
--   partial_r: with the score after treatment, that before held constant; delta_r2: what it explains beyond that one
--   early_slope: its weight beside the score before treatment, in outcome points per point of alliance
--   low, high: 95 % interval of r by Fisher's z, variance 1 / (n - 3); p: chance of such an r without any relation, by
--   t = r sqrt((n - 2) / (1 - r r)); more predictors at once: marts.outcome_model

with client as (
  select
    *,
    rank() over (partition by site_id, instrument, version, rater, rule_id order by early)
      + (count(*) over (partition by site_id, instrument, version, rater, rule_id, early) - 1) / 2 as early_rank,
    rank() over (partition by site_id, instrument, version, rater, rule_id order by post)
      + (count(*) over (partition by site_id, instrument, version, rater, rule_id, post) - 1) / 2 as post_rank
  from intermediate.early_outcome
),

related as (
  select
    site_id,
    instrument,
    version,
    rater,
    rule_id,
    count(*)::integer as n,
    corr(early, post order by client_id, episode_id) as r,
    corr(early, residual_gain order by client_id, episode_id) as r_gain,
    corr(early_rank, post_rank order by client_id, episode_id) as spearman,
    corr(pre, post order by client_id, episode_id) as r_pre_post,
    corr(pre, early order by client_id, episode_id) as r_pre_early,
    stddev_samp(post order by client_id, episode_id) as post_sd,
    stddev_samp(early order by client_id, episode_id) as early_sd
  from client
  group by site_id, instrument, version, rater, rule_id
),

finite as (
  select
    * exclude (r, r_gain, spearman, r_pre_post, r_pre_early),
    case when isfinite(r) then r end as r,
    case when isfinite(r_gain) then r_gain end as r_gain,
    case when isfinite(spearman) then spearman end as spearman,
    case when isfinite(r_pre_post) then r_pre_post end as r_pre_post,
    case when isfinite(r_pre_early) then r_pre_early end as r_pre_early
  from related
),

adjusted as (
  select
    *,
    case when n > 3 and abs(r) < 1 then atanh(r) end as fisher_z,
    case when n > 3 and r_pre_early ** 2 < 1 then (r - r_pre_post * r_pre_early) / (1 - r_pre_early ** 2) end as beta
  from finite
)

select
  site_id,
  instrument,
  version,
  rater,
  rule_id,
  n,
  r,
  case when fisher_z is not null then tanh(fisher_z - 1.959963984540054 / sqrt(n - 3)) end as low,
  case when fisher_z is not null then tanh(fisher_z + 1.959963984540054 / sqrt(n - 3)) end as high,
  case when n > 2 and r ** 2 < 1 then beyond_t(r * sqrt((n - 2) / (1 - r ** 2)), n - 2) end as p,
  spearman,
  r_gain,
  r_pre_post,
  case when r_pre_post ** 2 < 1 then beta * sqrt(1 - r_pre_early ** 2) / sqrt(1 - r_pre_post ** 2) end as partial_r,
  beta ** 2 * (1 - r_pre_early ** 2) as delta_r2,
  beta * post_sd / early_sd as early_slope,
  fisher_z,
  case when fisher_z is not null then 1 / (n - 3) end as fisher_z_variance
from adjusted
