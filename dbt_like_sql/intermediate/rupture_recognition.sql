-- intermediate.rupture_recognition: sessions of which both client and therapist could report a rupture
-- grain: site_id, client_id, episode_id, session_number
-- scope: site
-- By form or by event; intensity and resolution as the client sees them.

with perspective as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    source,
    max(therapist_id) as therapist_id,
    bool_or(is_reported) as is_reported,
    bool_or(is_resolved) as is_resolved,
    max(intensity) filter (where is_reported) as intensity,
    max(extent_resolved) as extent_resolved,
    min(event_id) as event_id
  from intermediate.rupture_direct
  where source in ('client', 'therapist')
  group by site_id, client_id, episode_id, session_number, source
)

select
  mine.site_id,
  mine.client_id,
  mine.episode_id,
  mine.session_number,
  coalesce(mine.therapist_id, theirs.therapist_id) as therapist_id,
  mine.is_reported,
  theirs.is_reported as is_reported_by_therapist,
  mine.is_reported and theirs.is_reported as is_recognised,
  mine.is_resolved,
  mine.intensity,
  mine.extent_resolved,
  mine.event_id
from perspective as mine
inner join perspective as theirs
  on mine.site_id = theirs.site_id
  and mine.client_id = theirs.client_id
  and mine.episode_id = theirs.episode_id
  and mine.session_number = theirs.session_number
where mine.source = 'client' and theirs.source = 'therapist'
