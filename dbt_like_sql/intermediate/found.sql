-- intermediate.found: what the models found about each site by themselves, with honest denominators
-- grain: site_id, code, subject
-- scope: site
-- `verdict` is there where the share decides and not the number. What Great Expectations finds is added in quality.finding.
-- Voided deliveries are left out; a line that was released is no finding any more.

with code as (
  select * from study.code
),

site as (
  select site_id from study.site
),

told as (
  select * from log.commit where kind = 'delivery' and voided_in is null
),

delivered as (
  select site_id, sum(lines)::bigint as lines, count(*)::bigint as files
  from told
  group by site_id
),

files as (
  select site_id, count(*)::bigint as files
  from log.commit
  where voided_in is null
  group by site_id
),

-- lines and files that were refused or remarked
remarked as (
  select
    commit.site_id,
    remark.code,
    remark.field as subject,
    sum(remark.n)::bigint as n_violated,
    min(commit.received_at) as first_seen,
    max(commit.received_at) as last_seen
  from log.commit
  inner join log.remark using (site_id, commit_seq)
  where commit.kind <> 'duplicate_delivery' and commit.voided_in is null
  group by commit.site_id, remark.code, remark.field
),

intake as (
  select
    remarked.*,
    case when code.scope = 'file' then files.files else delivered.lines end as n_denominator
  from remarked
  inner join code using (code)
  left join files using (site_id)
  left join delivered using (site_id)
),

-- states of the fold
state as (
  select
    site_id,
    count(*)::bigint as n_denominator,
    count(*) filter (where event.state = 'conflict')::bigint as conflict,
    count(*) filter (where reference.waits_for = 'client')::bigint as waits_for_client,
    count(*) filter (where reference.waits_for = 'session')::bigint as waits_for_session,
    count(*) filter (where reference.waits_for = 'consent')::bigint as withdrawn
  from staging.event
  left join intermediate.reference using (site_id, event_id)
  group by site_id
),

fold as (
  select site.site_id, 'FACT_CONFLICT' as code, coalesce(conflict, 0) as n_violated, coalesce(n_denominator, 0) as n_denominator
  from site left join state using (site_id)
  union all
  select site.site_id, 'FACT_PENDING_CLIENT', coalesce(waits_for_client, 0), coalesce(n_denominator, 0)
  from site left join state using (site_id)
  union all
  select site.site_id, 'FACT_WITHDRAWN', coalesce(withdrawn, 0), coalesce(n_denominator, 0)
  from site left join state using (site_id)
  union all
  select site.site_id, 'FACT_PENDING_SESSION', coalesce(waits_for_session, 0), coalesce(n_denominator, 0)
  from site left join state using (site_id)
),

session as (
  select
    site_id,
    count(*)::bigint as n_denominator,
    count(*) filter (where status = 'held')::bigint as n_held,
    count(*) filter (where is_contradictory)::bigint as n_violated
  from marts.session
  group by site_id
),

-- flags, each among what could have been flagged
flagged as (
  select site_id, code, count(*)::bigint as n_violated
  from quality.flag
  group by site_id, code
),

form as (
  select
    response_quality.site_id,
    count(*) filter (where len(form.items) >= 8)::bigint as n_long,
    count(distinct (form.instrument, form.version)) filter (
      where exists (select 1 from study.form_item as item
        where item.instrument = form.instrument and item.version = form.version and item.is_reversed)
    )::bigint as n_reversed
  from marts.response_quality
  inner join study.form as form
    on response_quality.instrument = form.instrument and response_quality.version = form.version
  group by response_quality.site_id
),

event as (
  select
    site_id,
    count(*) filter (where recorded_day is not null and event_type <> 'session.scheduled')::bigint as n_dated,
    count(distinct actor_id) filter (where event_type = 'coding.pass')::bigint as n_coders
  from staging.event
  group by site_id
),

pair as (
  select site_id, count(*)::bigint as n_pairs
  from marts.coder_agreement
  cross join study.threshold
  where level = 'code' and measure = 'presence' and rule_id = 'kappa' and coder_id is not null
    and n_units >= coder_kappa_min and mean_value between 0.1 and 0.9 and upper is not null
  group by site_id
),

-- scores with one of the session before; clients with enough long forms
course as (
  select
    site_id,
    session_number - lag(session_number) over (
      partition by site_id, client_id, episode_id, instrument, version, rater, occasion order by session_number, event_id
    ) as sessions_since
  from marts.instrument_score
  where scale = 'total' and session_number is not null and item_mean is not null
),

leap as (
  select site_id, count(*)::bigint as n_scores
  from course
  where sessions_since = 1
  group by site_id
),

person as (
  select site_id, count(*)::bigint as n_clients
  from (
    select quality.site_id, quality.client_id, count(*) as n
    from marts.response_quality as quality
    inner join study.form as form on quality.instrument = form.instrument and quality.version = form.version
    where len(form.items) >= 8 and quality.session_number is not null
    group by quality.site_id, quality.client_id
  )
  cross join study.threshold
  where n >= client_twice_min
  group by site_id
),

shift as (
  select site_id, count(*)::bigint as n_forms
  from quality.score_history
  where is_shifted is not null
  group by site_id
),

night as (
  select site_id, count(distinct left(received_at, 10))::bigint as n_nights
  from log.commit
  group by site_id
),

countable as (
  select
    site.site_id,
    unnest([
      {'code': 'SESSION_AFTER_ENDING', 'n': coalesce(session.n_held, 0)},
      {'code': 'SESSION_DAY_TWICE', 'n': coalesce(session.n_held, 0)},
      {'code': 'SESSION_NUMBER_GAP', 'n': coalesce(session.n_denominator, 0)},
      {'code': 'RECORDED_BEFORE_DAY', 'n': coalesce(event.n_dated, 0)},
      {'code': 'ANSWERS_STRAIGHT_LINED', 'n': coalesce(form.n_long, 0)},
      {'code': 'ANSWERS_COPIED', 'n': coalesce(form.n_long, 0)},
      {'code': 'ANSWERS_KEYED_TWICE', 'n': coalesce(form.n_reversed, 0)},
      {'code': 'CODER_DRIFT', 'n': coalesce(event.n_coders, 0)},
      {'code': 'CODER_DISAGREES', 'n': coalesce(pair.n_pairs, 0)},
      {'code': 'SCORE_JUMPS', 'n': coalesce(leap.n_scores, 0)},
      {'code': 'CLIENT_TWICE', 'n': coalesce(person.n_clients, 0)},
      {'code': 'SCORES_SHIFTED', 'n': coalesce(shift.n_forms, 0)},
      {'code': 'SITE_QUIET', 'n': greatest(coalesce(night.n_nights, 0) - 1, 0)}
    ]) as about
  from site
  left join session using (site_id)
  left join form using (site_id)
  left join event using (site_id)
  left join night using (site_id)
  left join shift using (site_id)
  left join pair using (site_id)
  left join leap using (site_id)
  left join person using (site_id)
),

counted as (
  select site_id, about.code as code, about.n as n from countable
),

remarkable as (
  select counted.site_id, counted.code, coalesce(flagged.n_violated, 0) as n_violated, counted.n as n_denominator
  from counted
  left join flagged using (site_id, code)
),

total as (
  select
    site_id,
    count(claim_agrees)::bigint as n_denominator,
    count(*) filter (where not claim_agrees)::bigint as n_violated
  from marts.instrument_score
  where scale = 'total'
  group by site_id
),

plausible as (
  select site.site_id, 'SESSION_CONTRADICTORY' as code, coalesce(n_violated, 0) as n_violated, coalesce(n_denominator, 0) as n_denominator
  from site left join session using (site_id)
  union all
  select site.site_id, 'TOTAL_DISAGREES', coalesce(n_violated, 0), coalesce(n_denominator, 0)
  from site left join total using (site_id)
),

complete as (
  select
    site.site_id,
    measure.measure_id,
    coalesce(sum(expected), 0)::bigint as expected,
    coalesce(sum(received), 0)::bigint as received
  from site
  cross join study.measure
  left join quality.completeness
    on site.site_id = completeness.site_id and measure.measure_id = completeness.measure_id
  where measure.occasion not in ('follow_up')
  group by site.site_id, measure.measure_id
),

design as (
  select
    site_id,
    'DESIGN_INCOMPLETE' as code,
    measure_id as subject,
    expected - received as n_violated,
    case when expected >= threshold.completeness_min_expected then expected else 0 end as n_denominator,
    received < expected * threshold.completeness_warn as is_low
  from complete
  cross join study.threshold
),

silent as (
  select
    site.site_id,
    'SITE_SILENT' as code,
    case when delivered.files is null then 1 else 0 end::bigint as n_violated,
    1::bigint as n_denominator
  from site left join delivered using (site_id)
)

select site_id, code, coalesce(subject, '') as subject, n_violated, n_denominator, first_seen, last_seen, null::varchar as verdict
from intake
union all
select site_id, code, '', n_violated, n_denominator, null, null, null from fold
union all
select site_id, code, '', n_violated, n_denominator, null, null, null from plausible
union all
select site_id, code, '', n_violated, n_denominator, null, null, null from remarkable
union all
select site_id, code, subject, n_violated, n_denominator, null, null, case when not is_low then 'pass' end from design
union all
select site_id, code, '', n_violated, n_denominator, null, null, null from silent
