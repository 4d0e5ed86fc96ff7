-- intermediate.session_therapist: who treated a client in a held session
-- grain: site_id, client_id, episode_id, session_number
-- scope: site
-- As the session says; where it does not, the only therapist of the client whom the site names in `dyad.formed` or
-- `therapist.changed`. With several and no word in the session nobody can tell, and the session has no row.

with named as (
  select event.site_id, event.client_id, event.therapist_id
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type in ('dyad.formed', 'therapist.changed') and waits_for is null and event.therapist_id is not null
),

only_one as (
  select site_id, client_id, min(therapist_id) as therapist_id
  from named
  group by site_id, client_id
  having count(distinct therapist_id) = 1
),

treated as (
  select
    session.site_id,
    session.client_id,
    session.episode_id,
    session.session_number,
    coalesce(session.therapist_id, only_one.therapist_id) as therapist_id
  from marts.session
  left join only_one on session.site_id = only_one.site_id and session.client_id = only_one.client_id
  where session.status = 'held'
)

select * from treated where therapist_id is not null
