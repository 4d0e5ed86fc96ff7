-- intermediate.rupture_by_report: sessions that somebody reports, marks or codes as a rupture
-- grain: site_id, client_id, episode_id, session_number, rule_id, source, instrument, version, occasion
-- scope: site
-- A resolution is looked for in the session itself and in the next ones (`repair_window`) of which the source said anything.

with rule as (
  select * from study.rupture_rule
),

judged as (
  select
    direct.site_id,
    direct.client_id,
    direct.therapist_id,
    direct.episode_id,
    direct.session_number,
    rule.rule_id,
    direct.source,
    direct.basis,
    direct.instrument,
    direct.version,
    direct.occasion,
    direct.is_reported as is_rupture,
    direct.is_resolved and coalesce(direct.extent_resolved >= rule.resolved_from, true) as is_repair,
    direct.intensity,
    rule.repair_window,
    direct.event_id
  from intermediate.rupture_direct as direct
  inner join rule
    on (direct.basis = 'form' and rule.family = 'form' and direct.instrument = rule.report_form)
    or (direct.basis = 'event' and rule.family = 'report')
  union all
  select
    seen.site_id,
    seen.client_id,
    seen.therapist_id,
    seen.episode_id,
    seen.session_number,
    rule.rule_id,
    'dyad' as source,
    'recognition' as basis,
    null as instrument,
    null as version,
    null as occasion,
    seen.is_recognised as is_rupture,
    seen.is_resolved and coalesce(seen.extent_resolved >= rule.resolved_from, true) as is_repair,
    seen.intensity,
    rule.repair_window,
    seen.event_id
  from intermediate.rupture_recognition as seen
  inner join rule on rule.family = 'recognised'
  union all
  select
    coding.site_id,
    coding.client_id,
    coding.therapist_id,
    coding.episode_id,
    coding.session_number,
    rule.rule_id,
    'observer' as source,
    'coding' as basis,
    null as instrument,
    null as version,
    null as occasion,
    len(list_filter(coding.markers, lambda marker:
      list_contains(rule.families, marker.family)
      and coalesce(marker.significance >= rule.significance_from, true)
    )) > 0 as is_rupture,
    coalesce(coding.extent_resolved >= rule.resolved_from, false) as is_repair,
    coding.significance as intensity,
    rule.repair_window,
    coding.event_id
  from intermediate.rupture_coding as coding
  inner join rule on rule.family = 'marker'
  union all
  select
    interview.site_id,
    interview.client_id,
    interview.therapist_id,
    interview.episode_id,
    interview.session_number,
    rule.rule_id,
    interview.perspective as source,
    'interview' as basis,
    null as instrument,
    null as version,
    null as occasion,
    list_has_any(interview.codes, rule.codes) as is_rupture,
    list_has_any(interview.codes, rule.repair_codes) as is_repair,
    null as intensity,
    rule.repair_window,
    interview.event_id
  from intermediate.rupture_interview as interview
  inner join rule on rule.family = 'code'
),

followed as (
  select
    *,
    lag(session_number) over course as previous_session_number,
    min(case when is_repair then session_number end) over now_or_later as repair_session_number,
    count(*) over later as n_followed
  from judged
  window
    course as (
      partition by site_id, client_id, episode_id, rule_id, source, basis, instrument, version, occasion
      order by session_number
    ),
    now_or_later as (
      partition by site_id, client_id, episode_id, rule_id, source, basis, instrument, version, occasion
      order by session_number
      rows between current row and repair_window following
    ),
    later as (
      partition by site_id, client_id, episode_id, rule_id, source, basis, instrument, version, occasion
      order by session_number
      rows between 1 following and repair_window following
    )
)

select
  followed.site_id,
  followed.client_id,
  coalesce(followed.therapist_id, session.therapist_id) as therapist_id,
  followed.episode_id,
  followed.session_number,
  rule_id,
  source,
  basis,
  instrument,
  version,
  occasion,
  previous_session_number,
  (followed.session_number - previous_session_number)::integer as session_gap,
  intensity::double as intensity,
  repair_window,
  n_followed::integer as n_followed,
  repair_session_number,
  event_id
from followed
left join marts.session
  on followed.site_id = session.site_id
  and followed.client_id = session.client_id
  and followed.episode_id = session.episode_id
  and followed.session_number = session.session_number
where followed.is_rupture
