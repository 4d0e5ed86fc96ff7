-- marts.countertransference: countertransference that was rated for a session
-- grain: site_id, event_id
-- scope: site
-- source: none; codes and scale are those of the scheme that the study uses.
-- rules: `as_rated`: every rating as it was delivered. A session without a row was not rated, or nothing was found in it: the two
--        cannot be told apart unless the scheme has a code for nothing.

select
  event.site_id,
  event.event_id,
  event.client_id,
  coalesce(event.therapist_id, session.therapist_id) as therapist_id,
  event.episode_id,
  event.session_number,
  event.study_day,
  event.actor_id as rater_id,
  (event.payload ->> '$.scheme') as scheme,
  (event.payload ->> '$.code') as code,
  (event.payload ->> '$.intensity')::double as intensity,
  count(*) over (
    partition by event.site_id, event.client_id, event.episode_id, event.session_number
  )::integer as n_ratings,
  'as_rated' as rule_id
from staging.event
inner join intermediate.reference using (site_id, event_id)
left join marts.session
  on event.site_id = session.site_id
  and event.client_id = session.client_id
  and event.episode_id = session.episode_id
  and event.session_number = session.session_number
where event.event_type = 'countertransference.rated' and waits_for is null
