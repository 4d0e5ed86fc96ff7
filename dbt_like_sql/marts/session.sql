-- marts.session: sessions and what became of them
-- grain: site_id, client_id, episode_id, session_number
-- scope: site
-- A session that is reported as held and as missed (or cancelled) counts as held and is flagged. `attended_seq`
-- numbers the held sessions of an episode from 1: missed and cancelled sessions consume no number there.

with report as (
  select session_event.*
  from staging.session_event
  inner join intermediate.reference using (site_id, event_id)
  where waits_for is null
),

session as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    bool_or(report = 'held') as was_held,
    bool_or(report = 'missed') as was_missed,
    bool_or(report = 'cancelled') as was_cancelled,
    bool_or(report = 'held' and claims_absence) as claims_absence,
    arg_min(therapist_id, (report <> 'held', event_id)) as therapist_id,
    arg_min(study_day, (report <> 'held', event_id)) as study_day,
    arg_min(format, (report <> 'held', event_id)) as format,
    arg_min(duration_minutes, (report <> 'held', event_id)) as duration_minutes,
    arg_min(absent_by, (report = 'held', event_id)) as absent_by,
    arg_min(absence_reason, (report = 'held', event_id)) as absence_reason,
    count(*)::integer as n_reports
  from report
  group by site_id, client_id, episode_id, session_number
),

named as (
  select
    *,
    case
      when was_held then 'held'
      when was_cancelled then 'cancelled'
      when was_missed then 'missed'
      else 'scheduled'
    end as status
  from session
)

select
  site_id,
  client_id,
  episode_id,
  session_number,
  status,
  therapist_id,
  study_day,
  format,
  duration_minutes,
  absent_by,
  absence_reason,
  was_held and (was_missed or was_cancelled or claims_absence) as is_contradictory,
  case
    when was_held
      then row_number() over (partition by site_id, client_id, episode_id, was_held order by session_number)
  end::integer as attended_seq,
  n_reports
from named
