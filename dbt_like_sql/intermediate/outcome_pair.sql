-- intermediate.outcome_pair: the two scores of a client that a rule compares
-- grain: site_id, client_id, episode_id, instrument, version, rater, rule_id
-- scope: site
-- A point is the first or last score of the course, that of an occasion, or that of a session; where several scores
-- answer to it, the first before and the last after treatment. There is a pair only if the second was given later, and
-- for a rule by slopes only with three scores that have a place in the course (marts.course_slope).

with score as (
  select * from marts.outcome_score
),

found as (
  select
    score.site_id,
    score.client_id,
    score.episode_id,
    score.instrument,
    score.version,
    score.rater,
    rule.rule_id,
    rule.scale,
    count(*)::integer as n_scores,
    count(*) filter (where session_number is not null or occasion = 'intake') as n_placed,
    min(measurement) filter (
      where pre_point in ('first', 'last') or occasion = pre_point or session_number = pre_session
    ) as first_at_pre,
    max(measurement) filter (
      where pre_point in ('first', 'last') or occasion = pre_point or session_number = pre_session
    ) as last_at_pre,
    min(measurement) filter (
      where post_point in ('first', 'last') or occasion = post_point or session_number = post_session
    ) as first_at_post,
    max(measurement) filter (
      where post_point in ('first', 'last') or occasion = post_point or session_number = post_session
    ) as last_at_post
  from score
  inner join study.outcome_rule as rule
    on score.instrument = rule.instrument and score.version = rule.version and score.scale = rule.scale
  group by
    score.site_id, score.client_id, score.episode_id, score.instrument, score.version, score.rater, rule.rule_id, rule.scale
),

placed as (
  select
    found.*,
    starts_with(rule.method, 'hlm') as is_by_slope,
    case when pre_point = 'last' then last_at_pre else first_at_pre end as pre_measurement,
    case when post_point = 'first' then first_at_post else last_at_post end as post_measurement
  from found
  inner join study.outcome_rule as rule
    on found.instrument = rule.instrument and found.version = rule.version and found.rule_id = rule.rule_id
)

select
  placed.site_id,
  placed.client_id,
  placed.episode_id,
  placed.instrument,
  placed.version,
  placed.rater,
  placed.rule_id,
  placed.scale,
  placed.n_scores,
  pre.score as pre_score,
  pre.session_number as pre_session_number,
  post.score as post_score,
  post.session_number as post_session_number,
  coalesce(placed.pre_measurement < placed.post_measurement, false)
    and (placed.n_placed >= 3 or not coalesce(placed.is_by_slope, false)) as is_pair
from placed
left join score as pre
  on placed.site_id = pre.site_id
  and placed.client_id = pre.client_id
  and placed.episode_id = pre.episode_id
  and placed.instrument = pre.instrument
  and placed.version = pre.version
  and placed.rater = pre.rater
  and placed.scale = pre.scale
  and placed.pre_measurement = pre.measurement
left join score as post
  on placed.site_id = post.site_id
  and placed.client_id = post.client_id
  and placed.episode_id = post.episode_id
  and placed.instrument = post.instrument
  and placed.version = post.version
  and placed.rater = post.rater
  and placed.scale = post.scale
  and placed.post_measurement = post.measurement
