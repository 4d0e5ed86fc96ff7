-- marts.outcome_client: change of a client from one score to another, judged by a rule
-- grain: site_id, client_id, episode_id, instrument, version, rater, rule_id
-- scope: study
-- source: Jacobson & Truax 1991, Journal of Consulting and Clinical Psychology 59, 12-19; Hageman & Arrindell 1999, Behaviour
--         Research and Therapy 37, 1169-1193; the other indices as reviewed there. Figures: marts.outcome_reference.
-- rules: `first_last` compares first and last score and judges nothing. The others stand in study.yaml, or come from the
--        norm sets of the instruments (`points_<norm set>`). change_index by method, with r the reliability, S1, M1 before
--        and M2 after treatment, E = S1 sqrt(1 - r):
--        jt  (post - pre) / (E sqrt 2)                       Jacobson & Truax 1991
--        gln ((post - M1) - r (pre - M1)) / (S1 sqrt(1 - r r))   Gulliksen, Lord & Novick
--        hll ((post - M2) - r (pre - M1)) / (S1 sqrt(1 - r r))   Hsu, Linn & Lord
--        en  (post - (r (pre - M1) + M1)) / E                Edwards & Nunnally
--        nk  (post - (r (pre - M1) + M1)) / sqrt(r r E E + S1 S1 (1 - r_post))   Nunnally & Kotsch
--        ha  ((post - pre) r_d + (M2 - M1) (1 - r_d)) / (sqrt(r_d) sqrt(2) E)    Hageman & Arrindell 1999
--        hlm empirical Bayes slope of the client / its standard error (marts.course_slope)   Speer & Greenbaum 1995
--        hlm_deviation (slope of the client - mean slope) / standard error   clinicalsignificance 3.0.0
--        points: change in points, `percent`: change in per cent of the first score.
--        A change counts if it is beyond the critical value (indices) or at least as large (points, per cent).
-- categories: recovered = reliable improvement from the clinical to the functional side of the cut-off; improved,
--        deteriorated = reliable change; unchanged. Rules after software add its own: harmed (deteriorated to the clinical
--        side), non_reliably_recovered (across the cut-off without reliable change).
-- Hageman & Arrindell judge the side after treatment by the true score and its error, the others by the score itself.
-- Who starts on the functional side cannot recover: the share of the recovered is of those with is_clinical_pre.
-- residual_gain: post - (a + b pre), regression over the reference sample, in scale points, not turned; residual_gain_z: over
-- the SD (n - 1) of the residuals; residual_gain_studentised: over its own error s sqrt(1 - 1 / n - z z / (n - 1)), s with
-- n - 2 (R's rstandard), where the reference is the study.
-- post_index: Hageman & Arrindell's index of the score after treatment against the cut-off, not turned; beyond the critical
-- value the side is sure. is_clinical_post: surely clinical there, not functional elsewhere.
-- `improvement` is the change in the direction of health, whatever the direction of the instrument.

with pair as (
  select * from intermediate.outcome_pair
),

rule as (
  select * from study.outcome_rule
),

compared as (
  select
    pair.*,
    rule.improvement_sign,
    rule.method,
    rule.inclusive,
    rule.percent,
    rule.reliability_post,
    rule.at_cutoff,
    rule.starts_clinical,
    rule.harmed,
    rule.non_reliably_recovered,
    rule.zero_is_infinite,
    reference.* exclude (instrument, version, rater, rule_id, scale, method),
    course.slope,
    course.deviation,
    course.slope_se,
    case when is_pair then post_score - pre_score end as change
  from pair
  inner join rule
    on pair.instrument = rule.instrument and pair.version = rule.version and pair.rule_id = rule.rule_id
  left join marts.outcome_reference as reference
    on pair.instrument = reference.instrument
    and pair.version = reference.version
    and pair.rater = reference.rater
    and pair.rule_id = reference.rule_id
  left join marts.course_slope as course
    on pair.site_id = course.site_id
    and pair.client_id = course.client_id
    and pair.episode_id = course.episode_id
    and pair.instrument = course.instrument
    and pair.version = course.version
    and pair.rater = course.rater
    and pair.scale = course.scale
),

indexed as (
  select
    *,
    case
      when pre_score <> 0 then 100 * change / pre_score
      when zero_is_infinite then case when change = 0 then 0 else sign(change) * 'infinity'::double end
    end as percent_change,
    case when is_pair then post_score - (post_mean + correlation * post_sd / nullif(pre_sd, 0) * (pre_score - pre_mean)) end
      as residual_gain,
    post_sd * sqrt(greatest(0, 1 - correlation ** 2)) as residual_sd,
    1 / n_reference + ((pre_score - pre_mean) / nullif(pre_sd, 0)) ** 2 / nullif(n_reference - 1, 0) as leverage,
    case method
      when 'jt' then change / nullif(se_difference, 0)
      when 'gln' then (change + (1 - reliability) * (pre_score - pre_mean)) / nullif(pre_sd * sqrt(1 - reliability ** 2), 0)
      when 'hll'
        then (post_score - post_mean - reliability * (pre_score - pre_mean)) / nullif(pre_sd * sqrt(1 - reliability ** 2), 0)
      when 'en' then (change + (1 - reliability) * (pre_score - pre_mean)) / nullif(se_measurement, 0)
      when 'nk'
        then (change + (1 - reliability) * (pre_score - pre_mean))
          / nullif(sqrt((reliability * se_measurement) ** 2 + pre_sd ** 2 * (1 - coalesce(reliability_post, reliability))), 0)
      when 'ha'
        then case when difference_reliability > 0 then
          (change * difference_reliability + (post_mean - pre_mean) * (1 - difference_reliability))
          / nullif(sqrt(difference_reliability) * se_difference, 0)
        end
      when 'hlm' then slope / nullif(slope_se, 0)
      when 'hlm_deviation' then deviation / nullif(slope_se, 0)
    end as index_of_method,
    case when method = 'ha' and post_reliability > 0 then
      improvement_sign * ((post_score - post_mean) * post_reliability + post_mean - cutoff)
      / nullif(sqrt(post_reliability) * se_measurement, 0)
    end as post_index
  from compared
),

sided as (
  select
    *,
    case when is_pair then index_of_method end as change_index,
    -- what the rule compares, in the direction of health, and with what; the ninth decimal ends the noise of proration
    case method
      when 'points' then round(improvement_sign * change, 9)
      -- clinicalsignificance 3.0.0 takes every change from zero for an improvement
      when 'percent' then case when isinf(percent_change) then percent_change else round(improvement_sign * percent_change, 9) end
      else improvement_sign * index_of_method
    end as amount,
    case method when 'points' then reliable_change when 'percent' then percent else critical_value end as least,
    sign(round(improvement_sign * (pre_score - cutoff), 9)) as pre_side,
    case
      when method = 'ha' then case when post_index > critical_value then 1 when post_index < -critical_value then -1 else 0 end
      else sign(round(improvement_sign * (post_score - cutoff), 9))
    end as post_side
  from indexed
),

judged as (
  select
    *,
    case when is_pair then amount > least or (inclusive and amount = least) end as is_improved,
    case when is_pair then amount < -least or (inclusive and amount = -least) end as is_deteriorated,
    pre_side < 0 or (pre_side = 0 and at_cutoff = 'clinical') as is_clinical_pre,
    case when is_pair then post_side > 0 or (post_side = 0 and at_cutoff = 'functional') end as is_functional_post,
    -- a Hageman & Arrindell score that is not surely clinical is not called so
    case when method = 'ha' then post_side < 0 else not (post_side > 0 or (post_side = 0 and at_cutoff = 'functional')) end
      as is_clinical_post
  from sided
)

select
  site_id,
  client_id,
  episode_id,
  instrument,
  version,
  rater,
  rule_id,
  scale,
  n_scores,
  pre_score,
  pre_session_number,
  post_score,
  post_session_number,
  change,
  improvement_sign * change as improvement,
  case when is_pair then percent_change end as percent_change,
  residual_gain,
  residual_gain / nullif(residual_sd, 0) as residual_gain_z,
  case when leverage < 1
    then residual_gain / nullif(residual_sd * sqrt((n_reference - 1) / nullif(n_reference - 2, 0) * (1 - leverage)), 0)
  end as residual_gain_studentised,
  change_index,
  critical_value,
  reliable_change,
  cutoff,
  is_clinical_pre,
  is_functional_post,
  case when is_pair then improvement_sign * post_index end as post_index,
  case when is_pair then is_clinical_post end as is_clinical_post,
  case
    when method is null or is_improved is null then null
    when is_improved and is_functional_post and (is_clinical_pre or not starts_clinical) then 'recovered'
    when is_improved then 'improved'
    when is_deteriorated and not is_clinical_pre and (harmed = 'from_functional' or (harmed is not null and is_clinical_post))
      then 'harmed'
    when is_deteriorated then 'deteriorated'
    when non_reliably_recovered and is_functional_post then 'non_reliably_recovered'
    else 'unchanged'
  end as category,
  norm_set,
  reference
from judged
