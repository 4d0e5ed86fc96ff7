-- marts.sudden_gain: sudden gains and losses
-- grain: site_id, client_id, episode_id, instrument, version, rule_id, session_number
-- scope: site
-- source: as marts.sudden_gain_interval, where the criteria stand one by one.
-- `session_number` is N, the session before the change. `magnitude` is in the direction of health (losses are negative);
-- `share_of_change` is magnitude / whole change of the course: a loss in a course that went well has a negative share
-- (suddengains 0.7.2: a positive one). It is empty where the course did not change (there: infinite).
-- A gain is reversed if a later score is worse than the score after it plus half of it taken back (losses likewise,
-- turned). Later means from session N + 2 on; suddengains 0.7.2 starts at N + 3 and so overlooks one session.
-- `size_rank` counts from the largest, of losses too, equal ones alike; suddengains 0.7.2 takes the smallest loss for the largest.

with rule as (
  select * from study.sudden_rule
),

sudden as (
  select * from marts.sudden_gain_interval where is_sudden
),

-- scores from session N + 2 or N + 3 on
followed as (
  select
    sudden.*,
    rule.improvement_sign,
    rule.zero_is_infinite,
    rule.largest_by_sign,
    case when rule.kind = 'loss' and rule.turns_share_of_losses then -1 else 1 end as share_sign,
    rule.improvement_sign * (series.course_to - series.course_from) as course_change,
    (sudden.score_before + sudden.score_after) / 2 as reversal_score,
    list_transform(
      series.scores[sudden.session_number - series.first_session + 1 + rule.reversal_from:],
      lambda score: rule.improvement_sign * score
    ) as later
  from sudden
  inner join intermediate.session_series as series
    on sudden.site_id = series.site_id
    and sudden.client_id = series.client_id
    and sudden.episode_id = series.episode_id
    and sudden.instrument = series.instrument
    and sudden.version = series.version
    and sudden.rule_id = series.rule_id
  inner join rule
    on sudden.rule_id = rule.rule_id and sudden.instrument = rule.instrument and sudden.version = rule.version
),

placed as (
  select *, list_min(later) as worst, list_max(later) as best from followed
)

select
  site_id,
  client_id,
  episode_id,
  instrument,
  version,
  rater,
  rule_id,
  kind,
  session_number,
  score_before,
  score_after,
  magnitude,
  course_change,
  case
    when course_change <> 0 then share_sign * magnitude / course_change
    when zero_is_infinite and course_change = 0 then share_sign * sign(magnitude) * 'infinity'::double
  end as share_of_change,
  reversal_score,
  case
    when kind = 'gain' then coalesce(worst < improvement_sign * reversal_score, false)
    else coalesce(best > improvement_sign * reversal_score, false)
  end as is_reversed,
  row_number() over (
    partition by site_id, client_id, episode_id, instrument, version, rule_id order by session_number
  )::integer as nth,
  count(*) over (partition by site_id, client_id, episode_id, instrument, version, rule_id)::integer as n_sudden,
  case
    when count(magnitude) over (partition by site_id, client_id, episode_id, instrument, version, rule_id)
      = count(*) over (partition by site_id, client_id, episode_id, instrument, version, rule_id)
      then rank() over (
        partition by site_id, client_id, episode_id, instrument, version, rule_id
        order by case when largest_by_sign then magnitude else abs(magnitude) end desc
      )
  end::integer as size_rank
from placed
