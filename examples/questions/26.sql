-- 26. Was the outcome form filled in before each session, was feedback shown, and what followed?
-- Reading: by site and arm: held sessions, share with an outcome form before it, days between form and session, share with feedback,
--   sessions that this study's own data call not on track, how many of them had feedback, and the client's alliance in the session
--   after (distance from the own mean, scale points).
-- Caveats: days, not hours: sites send study days. The signal is marts.not_on_track_local, never that of a vendor.

with form as (
  select
    site_id, client_id, episode_id, session_number, avg(days_from_session) as days
  from marts.response_quality
  where occasion = 'pre_session'
  group by site_id, client_id, episode_id, session_number
),

signal as (
  select site_id, client_id, episode_id, session_number, bool_or(is_not_on_track) as is_not_on_track
  from marts.not_on_track_local
  group by site_id, client_id, episode_id, session_number
),

shown as (
  select distinct site_id, client_id, episode_id, session_number, true as is_shown from marts.feedback
),

session as (
  select
    held.site_id,
    coalesce(client.arm, 'not reported') as arm,
    form.session_number is not null as has_form,
    form.days,
    coalesce(shown.is_shown, false) as is_shown,
    coalesce(signal.is_not_on_track, false) as is_not_on_track,
    later.within as next_within
  from marts.session as held
  left join marts.client as client using (site_id, client_id)
  left join form using (site_id, client_id, episode_id, session_number)
  left join shown using (site_id, client_id, episode_id, session_number)
  left join signal using (site_id, client_id, episode_id, session_number)
  left join marts.alliance_session as later
    on held.site_id = later.site_id
    and held.client_id = later.client_id
    and held.episode_id = later.episode_id
    and held.session_number + 1 = later.session_number
    and later.rater = 'client'
    and later.scale = 'total'
  where held.status = 'held'
)

select
  site_id,
  arm,
  count(*) as n_sessions,
  avg(has_form::integer) as form_before,
  avg(days) as days_from_session,
  avg(is_shown::integer) as feedback_shown,
  count(*) filter (where is_not_on_track) as n_not_on_track,
  count(*) filter (where is_not_on_track and is_shown) as with_feedback,
  avg(next_within) filter (where is_not_on_track) as next_alliance_not_on_track,
  avg(next_within) filter (where not is_not_on_track) as next_alliance_others
from session
group by site_id, arm
order by site_id, arm
