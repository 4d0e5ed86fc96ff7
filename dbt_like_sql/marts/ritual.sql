-- marts.ritual: opening and closing rituals of the sessions that were looked at
-- grain: site_id, client_id, episode_id, session_number, phase
-- scope: site
-- source: own rule of this project.
-- rules: `where_coded`: a session was looked at if somebody made a coding pass over it or reported a ritual in it; it has a row for
--        each phase, without a ritual too. Sessions that nobody looked at have no rows.

with observed as (
  select
    event.site_id,
    event.client_id,
    event.episode_id,
    event.session_number,
    (event.payload ->> '$.phase') as phase,
    (event.payload ->> '$.code') as code
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'ritual.observed' and waits_for is null
),

seen as (
  select site_id, client_id, episode_id, session_number from observed
  union
  select site_id, client_id, episode_id, session_number from intermediate.coding_pass
),

counted as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    phase,
    count(*)::integer as n_observed,
    min(code) as code
  from observed
  group by site_id, client_id, episode_id, session_number, phase
)

select
  seen.site_id,
  seen.client_id,
  session.therapist_id,
  seen.episode_id,
  seen.session_number,
  place.phase,
  counted.n_observed is not null as is_observed,
  coalesce(counted.n_observed, 0) as n_observed,
  counted.code,
  'where_coded' as rule_id
from seen
cross join (select unnest(['opening', 'closing']) as phase) as place
left join counted
  on seen.site_id = counted.site_id
  and seen.client_id = counted.client_id
  and seen.episode_id = counted.episode_id
  and seen.session_number = counted.session_number
  and place.phase = counted.phase
left join marts.session
  on seen.site_id = session.site_id
  and seen.client_id = session.client_id
  and seen.episode_id = session.episode_id
  and seen.session_number = session.session_number
