-- marts.outcome_score: outcome scores of a client in order of measurement
-- grain: site_id, client_id, episode_id, instrument, version, rater, scale, measurement
-- scope: site
-- `measurement` numbers the scores that could be computed from 1: intake, then sessions by number (before, between,
-- after), then end, then follow-up by day. A form filled in twice on one occasion counts once (recorded first). Totals, and the
-- subscales that a rule of study.yaml judges.

with judged as (
  select distinct instrument, version, scale from study.outcome_rule
),

score as (
  select instrument_score.*, form.improvement_sign
  from marts.instrument_score
  inner join study.form on instrument_score.instrument = form.instrument and instrument_score.version = form.version
  inner join judged
    on instrument_score.instrument = judged.instrument
    and instrument_score.version = judged.version
    and instrument_score.scale = judged.scale
  where form.domain = 'outcome'
),

ordered as (
  select
    *,
    case occasion
      when 'intake' then 0
      when 'end' then 2
      when 'follow_up' then 3
      else 1
    end as phase,
    case occasion when 'pre_session' then 0 when 'between_sessions' then 1 when 'post_session' then 2 end as part
  from score
  where score is not null
),

single as (
  select *
  from ordered
  qualify row_number() over (
    partition by site_id, client_id, episode_id, instrument, version, rater, scale, occasion, session_number,
      case when phase = 3 then study_day end
    order by recorded_day, event_id
  ) = 1
)

select
  site_id,
  client_id,
  therapist_id,
  episode_id,
  instrument,
  version,
  rater,
  scale,
  row_number() over (
    partition by site_id, client_id, episode_id, instrument, version, rater, scale
    order by phase, session_number, part, study_day, event_id
  )::integer as measurement,
  occasion,
  session_number,
  study_day,
  score,
  improvement_sign,
  n_missing,
  event_id,
  rule_id
from single
