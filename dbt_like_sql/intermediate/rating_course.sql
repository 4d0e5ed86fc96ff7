-- intermediate.rating_course: total alliance ratings of a course, in order, with their spread
-- grain: site_id, client_id, episode_id, rater, instrument, version, occasion
-- scope: site
-- Only ratings with a score, turned so that higher is better. `mean_range`: mean moving range, over ratings that follow each other
-- whatever their session numbers; `score_range`: greatest minus least score that the form allows.

with scale as (
  select
    form.instrument,
    form.version,
    form.improvement_sign,
    (answer_max - answer_min)::double
    * case aggregate when 'sum' then n_items when 'mean_x10' then 10 else 1 end as score_range
  from study.form
  inner join study.form_scale as scale on form.instrument = scale.instrument and form.version = scale.version
  where scale.scale = 'total' and form.domain = 'alliance'
),

course as (
  select
    site_id,
    client_id,
    episode_id,
    rater,
    rating.instrument,
    rating.version,
    occasion,
    count(*)::integer as n_ratings,
    list(session_number order by session_number) as sessions,
    list(improvement_sign * score order by session_number) as scores,
    list(therapist_id order by session_number) as therapist_ids,
    list(event_id order by session_number) as event_ids
  from intermediate.rating
  inner join scale on rating.instrument = scale.instrument and rating.version = scale.version
  where rating.scale = 'total' and score is not null
  group by site_id, client_id, episode_id, rater, rating.instrument, rating.version, occasion
),

averaged as (
  select *, list_sum(scores) / n_ratings as mean from course
)

select
  averaged.*,
  scale.improvement_sign,
  scale.score_range,
  case
    when n_ratings < 2 then null
    when list_min(scores) = list_max(scores) then 0
    else sqrt(list_sum(list_transform(scores, lambda score: (score - mean) ** 2)) / (n_ratings - 1))
  end as own_sd,
  list_sum(list_transform(list_zip(scores[2:], scores[:-2]), lambda pair: abs(pair[1] - pair[2]))) / (n_ratings - 1) as mean_range
from averaged
inner join scale on averaged.instrument = scale.instrument and averaged.version = scale.version
