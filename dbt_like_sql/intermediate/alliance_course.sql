-- intermediate.alliance_course: course of the alliance as one of the two rated it, with nothing in it of other sites
-- grain: site_id, client_id, episode_id, rater, instrument, version, occasion, scale
-- scope: site
-- The columns are those of marts.alliance_dyad, which says what they mean; `established_by_ratings` does not look at ruptures.

with constant as (
  select
    form.instrument,
    form.version,
    scale.scale,
    form.improvement_sign,
    alliance.*,
    alliance.shape_change / (common_max - common_min) * (answer_max - answer_min)
    * case aggregate when 'sum' then n_items when 'mean_x10' then 10 else 1 end as change_points
  from study.form
  inner join study.form_scale as scale on form.instrument = scale.instrument and form.version = scale.version
  cross join study.alliance
),

rating as (
  select
    session.*,
    score::decimal(18, 9) as exact_score,
    ln(session_number + 1)::decimal(18, 12) as exact_log,
    (score - score_lag1)::decimal(18, 9) as exact_step,
    by_session,
    from_session,
    established_threshold
  from marts.alliance_session as session
  cross join study.alliance
  where score is not null
),

-- sums of these are the same in every build
exact as (
  select
    *,
    exact_score * exact_score as square,
    session_number * session_number as session_square,
    session_number * exact_score as session_product,
    exact_log * exact_log as log_square,
    exact_log * exact_score as log_product,
    exact_step * exact_step as step_square
  from rating
),

summed as (
  select
    site_id,
    client_id,
    episode_id,
    rater,
    instrument,
    version,
    occasion,
    scale,
    arg_max(therapist_id, session_number) as therapist_id,
    count(distinct therapist_id)::integer as n_therapists,
    count(*)::integer as n_ratings,
    count(*) filter (where is_at_ceiling)::integer as n_at_ceiling,
    list_sort(list(score)) as scores,
    arg_min(score, session_number) as first_score,
    arg_max(score, session_number) as last_score,
    min(session_number) as first_session,
    max(session_number) as last_session,
    max(score) filter (where session_number = 1) as early_s1,
    max(score) filter (where session_number = 2) as early_s2,
    max(score) filter (where session_number = 3) as early_s3,
    sum(exact_score) filter (where session_number between 1 and 2) as sum_1_2,
    count(*) filter (where session_number between 1 and 2)::integer as n_s1_2,
    sum(exact_score) filter (where session_number between 1 and 3) as sum_1_3,
    count(*) filter (where session_number between 1 and 3)::integer as n_s1_3,
    sum(exact_score) filter (where session_number between 3 and 5) as sum_3_5,
    count(*) filter (where session_number between 3 and 5)::integer as n_s3_5,
    arg_min(score, session_number) filter (where session_number between 1 and 3) as early_first,
    min(session_number) filter (where session_number between 1 and 3) as early_first_session,
    sum(exact_score)::double as y,
    sum(square)::double as yy,
    sum(session_number)::double as s,
    sum(session_square)::double as ss,
    sum(session_product)::double as sy,
    sum(exact_log)::double as l,
    sum(log_square)::double as ll,
    sum(log_product)::double as ly,
    count(exact_step)::integer as n_adjacent,
    sum(step_square)::double as step_squares,
    count(*) filter (where session_number between 1 and by_session)::integer as n_early,
    arg_max(common_mean, session_number) filter (where session_number between from_session and by_session) as last_early,
    max(session_number) filter (where session_number between from_session and by_session) as last_early_session,
    min(session_number) filter (where round(common_mean - established_threshold, 9) >= 0) as first_established_session
  from exact
  group by site_id, client_id, episode_id, rater, instrument, version, occasion, scale
),

fitted as (
  select
    summed.*,
    constant.* exclude (instrument, version, scale),
    case when list_min(scores) < list_max(scores) then greatest(yy - y * y / n_ratings, 0) else 0 end as syy,
    case when n_ratings >= 2 then (sy - s * y / n_ratings) / (ss - s * s / n_ratings) end as slope,
    case when n_ratings >= 2 then (ly - l * y / n_ratings) / (ll - l * l / n_ratings) end as log_slope
  from summed
  inner join constant using (instrument, version, scale)
),

work as (
  select passage.site_id, passage.client_id, passage.episode_id, min(passage.session_number) as first_work_session
  from intermediate.coded_passage as passage
  cross join study.alliance
  where list_contains(work_families, passage.family) or list_contains(work_codes, passage.code)
  group by passage.site_id, passage.client_id, passage.episode_id
)

select
  fitted.site_id,
  fitted.client_id,
  fitted.therapist_id,
  fitted.episode_id,
  fitted.rater,
  fitted.instrument,
  fitted.version,
  fitted.occasion,
  fitted.scale,
  n_therapists,
  n_ratings,
  n_at_ceiling,
  first_session,
  last_session,
  first_score,
  last_score,
  y / n_ratings as mean,
  case when n_ratings >= 2 then sqrt(syy / (n_ratings - 1)) end as sd,
  early_s1,
  early_s2,
  early_s3,
  sum_1_2::double / nullif(n_s1_2, 0) as early_s1_2,
  n_s1_2,
  sum_1_3::double / nullif(n_s1_3, 0) as early_s1_3,
  n_s1_3,
  sum_3_5::double / nullif(n_s3_5, 0) as early_s3_5,
  n_s3_5,
  early_first,
  early_first_session,
  y / n_ratings - slope * s / n_ratings as intercept,
  slope,
  case when n_ratings >= 3 then
    sqrt(greatest(syy - slope * slope * (ss - s * s / n_ratings), 0) / (n_ratings - 2) / (ss - s * s / n_ratings))
  end as slope_se,
  y / n_ratings - log_slope * l / n_ratings as log_intercept,
  log_slope,
  step_squares / nullif(n_adjacent, 0) as mssd,
  n_adjacent,
  case
    when n_ratings < shape_min_ratings then null
    when len(list_filter(scores, lambda score:
      improvement_sign * score <= least(improvement_sign * first_score, improvement_sign * last_score) - change_points)) = 1 then 'v'
    when len(list_filter(scores, lambda score:
      improvement_sign * score <= least(improvement_sign * first_score, improvement_sign * last_score) - change_points)) > 1 then 'u'
    when improvement_sign * slope * (last_session - first_session) >= change_points then 'rising'
    when improvement_sign * slope * (last_session - first_session) <= -change_points then 'falling'
    else 'stable'
  end as shape,
  case
    when fitted.scale <> 'total' then null
    when n_early < established_min_ratings or last_early is null then 'unknown'
    when round(last_early - established_threshold, 9) >= 0 then 'established'
    else 'not_established'
  end as established_by_ratings,
  established_rule as rule_id,
  established_threshold as threshold,
  unless_rule,
  n_early,
  last_early,
  last_early_session,
  first_established_session,
  work.first_work_session,
  first_established_session - work.first_work_session as established_after_work
from fitted
left join work
  on fitted.site_id = work.site_id and fitted.client_id = work.client_id and fitted.episode_id = work.episode_id
