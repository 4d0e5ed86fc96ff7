-- quality.correction: what a site has to look at, fact by fact and line by line
-- grain: site_id, code, subject, event_id, commit_seq, line_number
-- scope: site
-- For facts the site's own event id; for lines that were held back, which keep no content, the file and the line. A
-- missing form is named by the session, enrolment or ending that asks for it. Only what asks for something.

with flagged as (
  select flag.site_id, flag.code, flag.event_id, flag.client_id, flag.episode_id, flag.session_number
  from quality.flag as flag
  inner join study.code as code using (code)
  where code.severity <> 'info'
),

session as (
  select site_id, client_id, episode_id, session_number, 'SESSION_CONTRADICTORY' as code
  from marts.session
  where is_contradictory
  union all
  select site_id, client_id, episode_id, session_number, code
  from flagged
  where event_id is null and session_number is not null
),

-- what asks for a form that is missing
missing as (
  select planned_form.site_id, planned_form.measure_id, session_event.event_id
  from intermediate.planned_form
  inner join staging.session_event using (site_id, client_id, episode_id, session_number)
  where planned_form.state = 'not_sent' and session_event.report = 'held'
  union all
  select planned_form.site_id, planned_form.measure_id, event.event_id
  from intermediate.planned_form
  inner join study.measure as measure using (measure_id)
  inner join staging.event as event
    on planned_form.site_id = event.site_id
    and planned_form.client_id = event.client_id
    and event.event_type = case measure.occasion when 'intake' then 'client.enrolled' else 'treatment.ended' end
  where planned_form.state = 'not_sent' and planned_form.session_number is null
),

fact as (
  select site_id, code, event_id from flagged where event_id is not null
  union all
  select session.site_id, session.code, session_event.event_id
  from session
  inner join staging.session_event as session_event using (site_id, client_id, episode_id, session_number)
  union all
  select site_id, 'FACT_CONFLICT', event_id
  from staging.event
  where state = 'conflict'
  union all
  select site_id, case waits_for when 'client' then 'FACT_PENDING_CLIENT' else 'FACT_PENDING_SESSION' end, event_id
  from intermediate.reference
  where waits_for in ('client', 'session')
  union all
  select fact.site_id, split_part(remark.code, '@', 1), fact.event_id
  from log.fact as fact
  cross join unnest(fact.codes) as remark(code)
  where fact.status = 'accepted'
  union all
  select site_id, 'TOTAL_DISAGREES', event_id
  from marts.instrument_score
  where scale = 'total' and not claim_agrees
),

released as (
  select distinct act.site_id, act.about as commit_seq, entered.line_number
  from log.act as act
  inner join log.fact as entered on act.commit_seq = entered.commit_seq and act.site_id = entered.site_id
  where act.kind = 'release'
),

held as (
  select site_id, commit_seq, commit.file_name, fact.line_number, unnest(fact.codes) as remark
  from log.fact as fact
  inner join log.commit as commit using (site_id, commit_seq)
  where fact.status = 'held_back' and commit.voided_in is null
),

line as (
  select distinct
    held.site_id,
    split_part(held.remark, '@', 1) as code,
    held.commit_seq,
    held.file_name,
    held.line_number
  from held
  left join released using (site_id, commit_seq, line_number)
  where released.line_number is null
)

select distinct
  site_id,
  code,
  '' as subject,
  event_id,
  null::bigint as commit_seq,
  null::varchar as file_name,
  null::bigint as line_number
from fact
union all
select distinct site_id, 'DESIGN_INCOMPLETE', measure_id, event_id, null, null, null
from missing
union all
select
  site_id,
  code,
  '',
  null,
  commit_seq,
  file_name,
  line_number
from line
