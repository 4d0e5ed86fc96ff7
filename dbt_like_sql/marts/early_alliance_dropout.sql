-- marts.early_alliance_dropout: did those who dropped out rate the early alliance lower?
-- grain: site_id, instrument, version, rater, rule_id
-- scope: study
-- source: Sharf, Primavera & Diener 2010, Psychotherapy 47, 637-645 (question); Hedges 1981 (g); Hanley & McNeil 1982 (AUC).
-- `rule_id` is the definition of drop-out (columns of marts.dropout). Early is the mean of the ratings up to the landmark
-- session; only clients who held a session beyond it count, so that nobody's rating comes from after the decision, and only
-- those of whom the definition says yes or no.
--   d (mean of those who dropped out - mean of the others) / pooled SD; g = d J(n - 2), variance 1 / n1 + 1 / n0 + g g / (2 n)
--   high: at or above the median of both groups; odds ratio (high drop-outs x low stayers) / (high stayers x low drop-outs),
--   empty with an empty cell (no half is added); auc: chance that a drop-out rated higher than a stayer, ties as a half.

with client as (
  select
    *,
    rank() over (partition by site_id, instrument, version, rater, rule_id order by score)
      + (count(*) over (partition by site_id, instrument, version, rater, rule_id, score) - 1) / 2 as middle_rank,
    median(score order by client_id, episode_id) over (partition by site_id, instrument, version, rater, rule_id) as middle
  from intermediate.early_rating
),

counted as (
  select
    site_id,
    instrument,
    version,
    rater,
    rule_id,
    count(*) filter (where is_dropout)::integer as n_dropped,
    count(*) filter (where not is_dropout)::integer as n_stayed,
    avg(score order by client_id, episode_id) filter (where is_dropout) as mean_dropped,
    avg(score order by client_id, episode_id) filter (where not is_dropout) as mean_stayed,
    var_samp(score order by client_id, episode_id) filter (where is_dropout) as variance_dropped,
    var_samp(score order by client_id, episode_id) filter (where not is_dropout) as variance_stayed,
    corr(score, is_dropout::integer order by client_id, episode_id) as point_biserial,
    max(middle) as median_score,
    count(*) filter (where is_dropout and score >= middle)::integer as n_high_dropped,
    count(*) filter (where not is_dropout and score >= middle)::integer as n_high_stayed,
    count(*) filter (where is_dropout and score < middle)::integer as n_low_dropped,
    count(*) filter (where not is_dropout and score < middle)::integer as n_low_stayed,
    sum(middle_rank order by client_id, episode_id) filter (where is_dropout) as rank_sum
  from client
  group by site_id, instrument, version, rater, rule_id
),

sized as (
  select
    *,
    n_dropped + n_stayed as n,
    case when n_dropped > 1 and n_stayed > 1 then
      (mean_dropped - mean_stayed) / nullif(
        sqrt(((n_dropped - 1) * variance_dropped + (n_stayed - 1) * variance_stayed) / (n_dropped + n_stayed - 2)), 0
      )
    end as d,
    case when n_dropped > 1 and n_stayed > 1 then
      exp(lgamma((n_dropped + n_stayed - 2) / 2) - ln(sqrt((n_dropped + n_stayed - 2) / 2)) - lgamma((n_dropped + n_stayed - 3) / 2))
    end as correction,
    least(n_high_dropped, n_high_stayed, n_low_dropped, n_low_stayed) > 0 as is_filled
  from counted
)

select
  site_id,
  instrument,
  version,
  rater,
  rule_id,
  n_dropped,
  n_stayed,
  mean_dropped,
  mean_stayed,
  d,
  d * correction as g,
  1 / n_dropped + 1 / n_stayed + (d * correction) ** 2 / (2 * n) as g_variance,
  case when isfinite(point_biserial) then point_biserial end as point_biserial,
  median_score,
  n_high_dropped,
  n_high_stayed,
  n_low_dropped,
  n_low_stayed,
  case when is_filled then n_high_dropped * n_low_stayed / (n_high_stayed * n_low_dropped) end as odds_ratio,
  case when is_filled then ln(n_high_dropped * n_low_stayed / (n_high_stayed * n_low_dropped)) end as log_odds_ratio,
  case when is_filled then 1 / n_high_dropped + 1 / n_high_stayed + 1 / n_low_dropped + 1 / n_low_stayed end
    as log_odds_variance,
  case when n_low_dropped > 0
    then (n_high_dropped / (n_high_dropped + n_high_stayed)) / (n_low_dropped / (n_low_dropped + n_low_stayed))
  end as risk_ratio,
  case when n_dropped > 0 and n_stayed > 0
    then (rank_sum - n_dropped * (n_dropped + 1) / 2) / (n_dropped * n_stayed)
  end as auc
from sized
