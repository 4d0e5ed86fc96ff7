-- intermediate.session_series: the scores of a course by session, for one rule for sudden gains
-- grain: site_id, client_id, episode_id, instrument, version, rule_id
-- scope: site
-- `scores` has a place for every session number from `first_session` on; a session without a score is empty there.

with rule as (
  select * from study.sudden_rule
),

score as (
  select site_id, client_id, episode_id, instrument, version, rater, occasion, session_number, score
  from marts.outcome_score
  where session_number is not null and scale = 'total'
  union all
  select site_id, client_id, episode_id, instrument, version, rater, occasion, session_number, score
  from marts.alliance_session
  where scale = 'total' and score is not null
),

course as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    version,
    rater,
    occasion,
    list(session_number order by session_number) as sessions,
    list(score order by session_number) as scores
  from score
  group by site_id, client_id, episode_id, instrument, version, rater, occasion
),

bounded as (
  select
    course.*,
    rule.rule_id,
    coalesce(rule.first_session, sessions[1]) as first_session,
    coalesce(rule.last_session, sessions[-1]) as last_session,
    rule.course_start,
    rule.course_end
  from course
  inner join rule
    on course.instrument = rule.instrument
    and course.version = rule.version
    and course.rater = rule.rater
    and course.occasion = rule.occasion
),

spread as (
  select
    *,
    case
      -- a score in every session: nothing has to be looked for
      when sessions = range(first_session, last_session + 1) then scores
      else list_transform(
        range(first_session, last_session + 1), lambda session: scores[nullif(list_position(sessions, session), 0)]
      )
    end as places
  from bounded
  where last_session >= first_session
)

select
  site_id,
  client_id,
  episode_id,
  instrument,
  version,
  rule_id,
  first_session,
  places as scores,
  -- of a named session, or of the first and last with a score
  case
    when course_start is null then list_filter(places, lambda place: place is not null)[1]
    when course_start >= first_session then places[course_start - first_session + 1]
  end as course_from,
  case
    when course_end is null then list_filter(places, lambda place: place is not null)[-1]
    when course_end >= first_session then places[course_end - first_session + 1]
  end as course_to
from spread
where len(list_filter(places, lambda place: place is not null)) > 0
