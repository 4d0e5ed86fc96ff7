-- marts.outcome_reference: the figures that a rule judges with, as they are in this build
-- grain: instrument, version, rater, rule_id
-- scope: study
-- source: Jacobson & Truax 1991 (cut-offs a, b, c; standard error of the difference);
--         Hageman & Arrindell 1999 (true scores, reliability of the difference).
-- Means, SDs (n - 1) and the correlation are those of all clients with both scores, whatever their site (`reference` is
-- 'study'; they move with every delivery), or those of a norm set, published or frozen with `dyadlog freeze` (`reference`
-- names it; they never move). Formulas, with M1, S1 before treatment, M0, S0 functional, r reliability, d = 1 or -1:
--   error of measurement S1 sqrt(1 - r); error of the difference sqrt(2) times that; of prediction S1 sqrt(1 - r r)
--   cut-offs a = M1 + 2 d S1; b = M0 - 2 d S0; c = (S1 M0 + S0 M1) / (S1 + S0)
-- With `true_scores` each SD is multiplied by the root of its own reliability (S squared - error squared) / S squared.
-- clinicalsignificance 3.0.0 takes b from the clinical SD; a rule of that preset does the same.

with pair as (
  select * from intermediate.outcome_pair where is_pair
),

own as (
  select
    instrument,
    version,
    rater,
    rule_id,
    count(*)::integer as n_reference,
    avg(pre_score order by site_id, client_id, episode_id) as pre_mean,
    stddev_samp(pre_score order by site_id, client_id, episode_id) as pre_sd,
    avg(post_score order by site_id, client_id, episode_id) as post_mean,
    stddev_samp(post_score order by site_id, client_id, episode_id) as post_sd,
    covar_samp(pre_score, post_score order by site_id, client_id, episode_id) as pre_post_covariance
  from pair
  group by instrument, version, rater, rule_id
),

used as (
  select
    own.instrument,
    own.version,
    own.rater,
    rule.* exclude (instrument, version, post_mean, post_sd),
    case when rule.reference = 'study' then own.n_reference end as n_reference,
    case when rule.reference = 'study' then own.pre_mean else rule.clinical_mean end as pre_mean,
    case when rule.reference = 'study' then own.pre_sd else rule.clinical_sd end as pre_sd,
    case when rule.reference = 'study' then own.post_mean else rule.post_mean end as post_mean,
    case when rule.reference = 'study' then own.post_sd else rule.post_sd end as post_sd,
    case
      when rule.reference = 'study' then own.pre_post_covariance / nullif(own.pre_sd * own.post_sd, 0)
      else rule.pre_post_correlation
    end as correlation
  from own
  inner join study.outcome_rule as rule
    on own.instrument = rule.instrument and own.version = rule.version and own.rule_id = rule.rule_id
),

error as (
  select *, pre_sd * sqrt(1 - reliability) as se_measurement from used
),

true_score as (
  select
    *,
    case when true_scores then sqrt(reliability) else 1 end * pre_sd as clinical_spread,
    case when true_scores then sqrt(greatest(functional_sd ** 2 - se_measurement ** 2, 0)) else functional_sd end
      as functional_spread,
    -- reliability of the scores after treatment and of the difference, from one error of measurement
    (post_sd ** 2 - se_measurement ** 2) / nullif(post_sd ** 2, 0) as post_reliability,
    (
      pre_sd ** 2 * reliability + post_sd ** 2 - se_measurement ** 2 - 2 * pre_sd * post_sd * correlation
    ) / nullif(pre_sd ** 2 + post_sd ** 2 - 2 * pre_sd * post_sd * correlation, 0) as difference_reliability
  from error
)

select
  instrument,
  version,
  rater,
  rule_id,
  scale,
  method,
  norms as norm_set,
  reference,
  n_reference,
  pre_mean,
  pre_sd,
  post_mean,
  post_sd,
  correlation,
  reliability,
  se_measurement,
  se_measurement * sqrt(2) as se_difference,
  pre_sd * sqrt(1 - reliability ** 2) as se_prediction,
  post_reliability,
  difference_reliability,
  critical as critical_value,
  case
    when method = 'points' then reliable_change
    when method = 'jt' then critical * se_measurement * sqrt(2)
  end as reliable_change,
  cutoff_kind,
  case cutoff_kind
    when 'published' then cutoff
    when 'a' then pre_mean + improvement_sign * 2 * clinical_spread
    when 'b'
      then functional_mean
        - improvement_sign * 2 * case cutoff_b_sd when 'clinical' then clinical_spread else functional_spread end
    when 'c' then (clinical_spread * functional_mean + functional_spread * pre_mean) / (clinical_spread + functional_spread)
  end as cutoff
from true_score
