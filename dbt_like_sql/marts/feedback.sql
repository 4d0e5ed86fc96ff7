-- marts.feedback: outcome feedback that was shown to therapists
-- grain: site_id, event_id
-- scope: site
-- source: Lambert et al. 2003, Clinical Psychology: Science and Practice 10, 288-301 (feedback as a treatment) [M].
-- rules: `as_shown`: every display as the site reports it, with the signal of the site's own system. Whether this study's own
--        data call the client not on track stands in marts.not_on_track_local; the two need not agree.

select
  event.site_id,
  event.event_id,
  event.client_id,
  coalesce(event.therapist_id, session.therapist_id) as therapist_id,
  event.episode_id,
  event.session_number,
  event.study_day,
  (event.payload ->> '$.instrument') as instrument,
  (event.payload ->> '$.signal') as signal,
  count(*) over (
    partition by event.site_id, event.client_id, event.episode_id, event.session_number
  )::integer as n_shown,
  'as_shown' as rule_id
from staging.event
inner join intermediate.reference using (site_id, event_id)
left join marts.session
  on event.site_id = session.site_id
  and event.client_id = session.client_id
  and event.episode_id = session.episode_id
  and event.session_number = session.session_number
where event.event_type = 'feedback.shown' and waits_for is null
