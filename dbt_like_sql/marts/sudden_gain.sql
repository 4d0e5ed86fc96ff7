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

score as (
  select * from intermediate.session_score
),

sudden as (
  select * from marts.sudden_gain_interval where is_sudden
),

whole as (
  select
    score.site_id,
    score.client_id,
    score.episode_id,
    score.rule_id,
    score.instrument,
    score.version,
    case
      when bool_or(rule.course_start is null) then arg_min(score.score, score.session_number)
      else min(score.score) filter (where score.session_number = rule.course_start)
    end as course_from,
    case
      when bool_or(rule.course_end is null) then arg_max(score.score, score.session_number)
      else min(score.score) filter (where score.session_number = rule.course_end)
    end as course_to
  from score
  inner join rule
    on score.rule_id = rule.rule_id and score.instrument = rule.instrument and score.version = rule.version
  group by score.site_id, score.client_id, score.episode_id, score.rule_id, score.instrument, score.version
),

-- worst and best later scores, as seen from the session before the change
later as (
  select
    sudden.site_id,
    sudden.client_id,
    sudden.episode_id,
    sudden.rule_id,
    sudden.instrument,
    sudden.version,
    sudden.session_number,
    min(rule.improvement_sign * score.score) as worst,
    max(rule.improvement_sign * score.score) as best
  from sudden
  inner join rule
    on sudden.rule_id = rule.rule_id and sudden.instrument = rule.instrument and sudden.version = rule.version
  inner join score
    on sudden.site_id = score.site_id
    and sudden.client_id = score.client_id
    and sudden.episode_id = score.episode_id
    and sudden.rule_id = score.rule_id
    and sudden.instrument = score.instrument
    and sudden.version = score.version
    and score.session_number >= sudden.session_number + rule.reversal_from
  group by
    sudden.site_id,
    sudden.client_id,
    sudden.episode_id,
    sudden.rule_id,
    sudden.instrument,
    sudden.version,
    sudden.session_number
),

placed as (
  select
    sudden.*,
    rule.improvement_sign,
    rule.zero_is_infinite,
    rule.largest_by_sign,
    case when rule.kind = 'loss' and rule.turns_share_of_losses then -1 else 1 end as share_sign,
    rule.improvement_sign * (whole.course_to - whole.course_from) as course_change,
    (sudden.score_before + sudden.score_after) / 2 as reversal_score,
    later.worst,
    later.best
  from sudden
  left join whole using (site_id, client_id, episode_id, rule_id, instrument, version)
  left join later using (site_id, client_id, episode_id, rule_id, instrument, version, session_number)
  inner join rule
    on sudden.rule_id = rule.rule_id and sudden.instrument = rule.instrument and sudden.version = rule.version
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
