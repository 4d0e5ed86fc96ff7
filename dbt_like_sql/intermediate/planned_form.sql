-- intermediate.planned_form: every form that the protocol has for a client, and what became of it
-- grain: site_id, measure_id, client_id, episode_id, session_number
-- scope: site
-- One per session that the protocol names, one per enrolled client at intake and one per treatment at the end;
-- `episode_id` and `session_number` are null for the latter two.
-- received; declined: the form came with no answer but `declined` or `not_administered`; held_back: two contents under one
-- event id, neither of which is used; not_sent: nothing is known of it (lines that were refused keep no content, so theirs
-- are here too). Not expected: missed_session; withdrawn (the client withdrew consent); not_due (the session, or the ending,
-- has not been reported yet).

with measure as (
  select * from study.measure
),

session as (
  select site_id, client_id, episode_id, session_number, status from marts.session
  union all
  select distinct session_event.site_id, client_id, episode_id, session_number, 'withdrawn' as status
  from staging.session_event
  inner join intermediate.reference using (site_id, event_id)
  where waits_for = 'consent' and report = 'held'
),

person as (
  select distinct
    site_id,
    client_id,
    event_type,
    waits_for
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event_type in ('client.enrolled', 'treatment.ended') and (waits_for is null or waits_for = 'consent')
),

once as (
  select
    enrolled.site_id,
    enrolled.client_id,
    enrolled.waits_for,
    ended.client_id is not null as has_ended
  from person as enrolled
  left join person as ended
    on enrolled.site_id = ended.site_id and enrolled.client_id = ended.client_id and ended.event_type = 'treatment.ended'
  where enrolled.event_type = 'client.enrolled'
),

planned as (
  select session.site_id, measure.measure_id, session.client_id, session.episode_id, session.session_number, session.status
  from session
  inner join measure
    on measure.occasion in ('pre_session', 'post_session', 'between_sessions')
    and (
      measure.due_all
      or list_contains(measure.due_sessions, session.session_number)
      or (session.session_number >= measure.due_start and (session.session_number - measure.due_start) % measure.due_every = 0)
    )
  union all
  select
    once.site_id,
    measure.measure_id,
    once.client_id,
    null as episode_id,
    null as session_number,
    case
      when once.waits_for is not null then 'withdrawn'
      when measure.occasion = 'end' and not once.has_ended then 'scheduled'
      else 'held'
    end as status
  from once
  inner join measure on measure.occasion in ('intake', 'end')
),

answered as (
  select
    *,
    len(list_filter(map_values(items), lambda answer: answer is not null)) > 0 as has_answers
  from intermediate.questionnaire
),

refused as (
  select site_id, event_id
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event_type = 'instrument.completed'
    and waits_for is null
    and len(map_keys(from_json(coalesce(payload -> '$.missing', '{}'), '"MAP(VARCHAR, VARCHAR)"'))) > 0
    and len(
      list_filter(
        map_values(from_json(coalesce(payload -> '$.missing', '{}'), '"MAP(VARCHAR, VARCHAR)"')),
        lambda why: why not in ('declined', 'not_administered')
      )
    ) = 0
),

told as (
  select
    answered.site_id,
    measure.measure_id,
    answered.client_id,
    case when measure.occasion in ('intake', 'end') then null else answered.episode_id end as episode_id,
    case when measure.occasion in ('intake', 'end') then null else answered.session_number end as session_number,
    case when not answered.has_answers and refused.event_id is not null then 'declined' else 'received' end as state
  from answered
  inner join measure using (instrument, version, rater, occasion)
  left join refused using (site_id, event_id)
),

-- two contents under one event id: what both are about
contradicted as (
  select distinct
    fact.site_id,
    fact.event_id,
    fact.client_id,
    coalesce(fact.episode_id, '1') as episode_id,
    fact.session_number,
    fact.payload ->> '$.instrument' as instrument,
    fact.payload ->> '$.version' as version,
    fact.payload ->> '$.rater' as rater,
    fact.payload ->> '$.occasion' as occasion
  from log.fact as fact
  inner join staging.event as event using (site_id, event_id, revision)
  where event.state = 'conflict' and fact.status = 'accepted' and fact.event_type = 'instrument.completed'
),

known as (
  select * from told
  union all
  select
    contradicted.site_id,
    measure.measure_id,
    contradicted.client_id,
    case when measure.occasion in ('intake', 'end') then null else contradicted.episode_id end,
    case when measure.occasion in ('intake', 'end') then null else contradicted.session_number end,
    'held_back'
  from contradicted
  inner join measure using (instrument, version, rater, occasion)
),

found as (
  select
    site_id,
    measure_id,
    client_id,
    episode_id,
    session_number,
    case
      when bool_or(state = 'received') then 'received'
      when bool_or(state = 'declined') then 'declined'
      else 'held_back'
    end as state
  from known
  group by site_id, measure_id, client_id, episode_id, session_number
)

select
  planned.site_id,
  planned.measure_id,
  planned.client_id,
  planned.episode_id,
  planned.session_number,
  case
    when planned.status = 'held' then coalesce(found.state, 'not_sent')
    when planned.status in ('missed', 'cancelled') then 'missed_session'
    when planned.status = 'withdrawn' then 'withdrawn'
    else 'not_due'
  end as state
from planned
left join found
  on planned.site_id = found.site_id
  and planned.measure_id = found.measure_id
  and planned.client_id = found.client_id
  and planned.episode_id is not distinct from found.episode_id
  and planned.session_number is not distinct from found.session_number
