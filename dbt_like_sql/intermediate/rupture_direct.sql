-- intermediate.rupture_direct: sessions of which a client, a therapist or an observer could report a rupture directly
-- grain: site_id, client_id, episode_id, session_number, source, basis, instrument, version, occasion
-- scope: site
-- Basis form: a form with a scale for the intensity of ruptures was filled in (study.rupture_rule, family form); the one recorded
-- first counts. Basis event: the session was held, at a site where this perspective reports ruptures by event at all.

with form_rule as (
  select distinct report_form, intensity_scale, resolution_scale, above
  from study.rupture_rule
  where family = 'form'
),

scale as (
  select score.*, form_rule.intensity_scale, form_rule.resolution_scale, form_rule.above
  from marts.instrument_score as score
  inner join form_rule on score.instrument = form_rule.report_form
  where score.session_number is not null and score.scale in (form_rule.intensity_scale, form_rule.resolution_scale)
),

filled as (
  select
    site_id,
    event_id,
    client_id,
    therapist_id,
    episode_id,
    session_number,
    rater,
    instrument,
    version,
    occasion,
    recorded_day,
    above,
    max(score) filter (where scale = intensity_scale) as intensity,
    max(score) filter (where scale = resolution_scale) as extent_resolved
  from scale
  group by
    site_id, event_id, client_id, therapist_id, episode_id, session_number, rater, instrument, version, occasion, recorded_day, above
),

form as (
  select *
  from filled
  where intensity is not null
  qualify row_number() over (
    partition by site_id, client_id, episode_id, session_number, rater, instrument, version, occasion
    order by recorded_day, event_id
  ) = 1
),

report as (
  select
    event.site_id,
    event.event_id,
    event.client_id,
    event.therapist_id,
    event.episode_id,
    event.session_number,
    event.event_type = 'rupture.marked' as is_mark,
    event.payload ->> '$.perspective' as perspective,
    (event.payload ->> '$.intensity')::integer as intensity,
    (event.payload ->> '$.extent')::integer as extent
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type in ('rupture.marked', 'rupture.resolved') and waits_for is null
),

reporting as (
  select distinct site_id, perspective from report where is_mark
),

said as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    perspective,
    max(therapist_id) as therapist_id,
    bool_or(is_mark) as is_reported,
    max(intensity) as intensity,
    bool_or(not is_mark) as is_resolved,
    max(extent) as extent_resolved,
    min(event_id) as event_id
  from report
  group by site_id, client_id, episode_id, session_number, perspective
),

-- held sessions, and those that a report is about though they are not reported as held
could as (
  select session.site_id, session.client_id, session.episode_id, session.session_number, reporting.perspective
  from marts.session
  inner join reporting using (site_id)
  where session.status = 'held'
  union
  select said.site_id, said.client_id, said.episode_id, said.session_number, said.perspective from said
  inner join reporting using (site_id, perspective)
),

asked as (
  select
    could.*,
    said.therapist_id,
    coalesce(said.is_reported, false) as is_reported,
    said.intensity,
    coalesce(said.is_resolved, false) as is_resolved,
    said.extent_resolved,
    said.event_id
  from could
  left join said using (site_id, client_id, episode_id, session_number, perspective)
)

select
  site_id,
  client_id,
  episode_id,
  session_number,
  therapist_id,
  rater as source,
  'form' as basis,
  instrument,
  version,
  occasion,
  intensity > above as is_reported,
  intensity,
  extent_resolved is not null as is_resolved,
  extent_resolved,
  event_id
from form
union all
select
  site_id,
  client_id,
  episode_id,
  session_number,
  therapist_id,
  perspective as source,
  'event' as basis,
  null as instrument,
  null as version,
  null as occasion,
  is_reported,
  intensity::double as intensity,
  is_resolved,
  extent_resolved::double as extent_resolved,
  event_id
from asked
