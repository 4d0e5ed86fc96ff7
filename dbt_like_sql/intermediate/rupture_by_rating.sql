-- intermediate.rupture_by_rating: ratings that a rule by drop, control chart or sudden drop calls a rupture
-- grain: site_id, client_id, episode_id, session_number, rule_id, rater, instrument, version, occasion
-- scope: study
-- `is_judged` rows only: a rule needs its number of ratings and a spread; a drop needs a rating before.
-- Differences are compared to the ninth decimal, so that a drop of exactly k SD counts.

with rule as (
  select *
  from study.rupture_rule
  where family in ('drop', 'chart', 'sudden')
),

measured as (
  select
    rating.*,
    rule.rule_id,
    rule.family,
    rule.repair_window,
    case
      when rule.family = 'chart' and rule.spread is null then rating.mean_range / rule.d2
      -- SD / c4(n), without bias in normal data
      when rule.family = 'chart'
        then rating.own_sd / (sqrt(2 / (rating.n_ratings - 1)) * exp(lgamma(rating.n_ratings / 2) - lgamma((rating.n_ratings - 1) / 2)))
      else case rule.spread
        when 'own' then rating.own_sd
        when 'mean' then coalesce(rule.reference_sd, reference.mean_own_sd)
        when 'stricter' then greatest(rating.own_sd, coalesce(rule.reference_sd, reference.mean_own_sd))
      end
    end as spread,
    rule.k,
    rule.tolerance,
    case
      when rule.family = 'chart' then rating.mean - rating.score
      when rule.family = 'drop' or rating.session_number = rating.previous_session_number + 1 then rating.drop_size
    end as fall,
    case
      when rule.family = 'sudden'
        then greatest(rule.points_of_range * rating.score_range, rule.percent / 100 * abs(rating.previous_score))
    end as points
  from intermediate.rupture_rating as rating
  inner join rule on rating.n_ratings >= rule.min_ratings
  left join marts.rupture_reference as reference
    on rating.rater = reference.rater
    and rating.instrument = reference.instrument
    and rating.version = reference.version
    and rating.occasion = reference.occasion
),

flagged as (
  select *, coalesce(points, k * spread) as threshold
  from measured
  where fall > 0
    and case family
      when 'chart' then round(fall - k * spread, 9) > 0
      else round(fall - coalesce(points, k * spread), 9) >= 0
    end
),

aimed as (
  select
    *,
    case when family = 'chart' then mean else previous_score - tolerance * threshold end as repair_level
  from flagged
),

followed as (
  select
    *,
    list_position(
      list_transform(later_scores[:repair_window], lambda later: round(later - repair_level, 9) >= 0), true
    ) as nth_repair
  from aimed
)

select
  site_id,
  client_id,
  therapist_id,
  episode_id,
  session_number,
  rule_id,
  rater,
  instrument,
  version,
  occasion,
  previous_session_number,
  (session_number - previous_session_number)::integer as session_gap,
  improvement_sign * previous_score as previous_score,
  improvement_sign * score as score,
  fall as drop_size,
  spread,
  threshold,
  n_ratings,
  improvement_sign * repair_level as repair_level,
  repair_window,
  least(len(later_scores), repair_window)::integer as n_followed,
  later_sessions[nullif(nth_repair, 0)] as repair_session_number,
  event_id
from followed
