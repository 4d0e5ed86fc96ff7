-- quality.flag: facts, sessions, forms and coders that look wrong, one by one
-- grain: site_id, code, subject
-- scope: site
-- Nothing is dropped because of a flag; `quality.finding` counts them. `subject` is the event id, the client's session
-- (client/episode/number), the form or the coder; event id and session are there where the flag is about one.
-- ANSWERS_STRAIGHT_LINED: a complete form of 8 items or more with one and the same answer, and not at an end of the
-- scale, where such forms are common and right (nobody is without symptoms in the middle).
-- ANSWERS_COPIED: the same answers to 8 items or more as in the client's form before, with three different ones at least.
-- ANSWERS_KEYED_TWICE: over a site's complete forms, reversed items (turned round by the key) fall where the others rise.
-- CODER_DRIFT: in double-coded sessions one coder marks far more than the other one, beyond what chance explains: the
-- ratio of study.yaml, and |a - b| > 3 sqrt(a + b) for Poisson counts a and b.
-- SITE_QUIET: days between two deliveries of a site.

with threshold as (
  select * from study.threshold
),

used as (
  select event.*
  from staging.event as event
  inner join intermediate.reference using (site_id, event_id)
  where reference.waits_for is null
),

-- answers
filled as (
  select
    form.site_id,
    form.event_id,
    form.client_id,
    form.episode_id,
    form.session_number,
    form.copies_previous,
    list_filter(map_values(questionnaire.items), lambda answer: answer is not null) as given,
    len(registered.items) as n_items,
    registered.answer_min,
    registered.answer_max
  from marts.response_quality as form
  inner join intermediate.questionnaire using (site_id, event_id)
  inner join study.form as registered
    on form.instrument = registered.instrument and form.version = registered.version
),

answered as (
  select
    case
      when
        len(given) = n_items
        and list_min(given) = list_max(given)
        and list_min(given) > answer_min
        and list_max(given) < answer_max
        then 'ANSWERS_STRAIGHT_LINED'
      when copies_previous and list_unique(given) >= 3 then 'ANSWERS_COPIED'
    end as code,
    *
  from filled
  where n_items >= 8
),

half as (
  select
    answer.site_id,
    answer.event_id,
    answer.instrument,
    answer.version,
    coalesce(sum(keyed) filter (where form_item.is_reversed), 0)::bigint as turned,
    coalesce(sum(keyed) filter (where not form_item.is_reversed), 0)::bigint as straight,
    count(*) filter (where form_item.is_reversed) as n_reversed,
    count(*) as n_answers
  from intermediate.answer
  inner join study.form_item as form_item
    on answer.instrument = form_item.instrument and answer.version = form_item.version and answer.item = form_item.item
  group by answer.site_id, answer.event_id, answer.instrument, answer.version
),

crossed as (
  select *, turned * straight as product from half
),

keyed_twice as (
  select half.site_id, half.instrument, half.version
  from crossed as half
  inner join study.form as form on half.instrument = form.instrument and half.version = form.version
  cross join threshold
  where half.n_reversed >= 2 and half.n_answers = len(form.items)
  group by half.site_id, half.instrument, half.version, threshold.keying_min_forms
  having count(*) >= threshold.keying_min_forms
    and count(*) * sum(product) < sum(turned) * sum(straight)
),

-- sessions
ended as (
  select site_id, client_id, episode_id, min(study_day) as ended_day
  from used
  where event_type = 'treatment.ended'
  group by site_id, client_id, episode_id
),

placed as (
  select
    session.*,
    ended.ended_day,
    session_number - lag(session_number) over episode as step,
    row_number() over (
      partition by session.site_id, session.client_id, session.episode_id, session.status, session.study_day
      order by session.session_number
    ) as nth_of_day
  from marts.session as session
  left join ended using (site_id, client_id, episode_id)
  window episode as (partition by session.site_id, session.client_id, session.episode_id order by session.session_number)
),

doubtful as (
  select 'SESSION_AFTER_ENDING' as code, placed.* from placed where status = 'held' and study_day > ended_day
  union all
  select 'SESSION_DAY_TWICE', placed.* from placed where status = 'held' and study_day is not null and nth_of_day > 1
  union all
  select 'SESSION_NUMBER_GAP', placed.* from placed where step > 1
),

-- coders
pass as (
  select distinct site_id, client_id, episode_id, session_number, actor_id, payload ->> '$.scheme' as scheme
  from used
  where event_type = 'coding.pass' and actor_id is not null
),

marked as (
  select site_id, client_id, episode_id, session_number, actor_id, payload ->> '$.scheme' as scheme, count(*) as n
  from used
  where event_type = 'coding.segment'
  group by site_id, client_id, episode_id, session_number, actor_id, scheme
),

counted as (
  select pass.*, coalesce(marked.n, 0) as n
  from pass
  left join marked using (site_id, client_id, episode_id, session_number, actor_id, scheme)
),

compared as (
  select one.site_id, one.actor_id, one.scheme, sum(one.n)::bigint as own, sum(other.n)::bigint as others
  from counted as one
  inner join counted as other using (site_id, client_id, episode_id, session_number, scheme)
  where one.actor_id <> other.actor_id
  group by one.site_id, one.actor_id, one.scheme
),

-- deliveries
night as (
  select distinct site_id, left(received_at, 10)::date as received_on
  from log.commit
  where kind <> 'rejected_file'
),

pause as (
  select
    site_id,
    received_on,
    received_on - lag(received_on) over (partition by site_id order by received_on) as days
  from night
)

select
  site_id,
  code,
  event_id as subject,
  event_id,
  client_id,
  episode_id,
  session_number
from answered
where code is not null
union all
select site_id, 'RECORDED_BEFORE_DAY', event_id, event_id, client_id, episode_id, session_number
from used
where recorded_day < study_day and event_type <> 'session.scheduled'
union all
select
  site_id,
  code,
  client_id || '/' || episode_id || '/' || session_number,
  null,
  client_id,
  episode_id,
  session_number
from doubtful
union all
select site_id, 'ANSWERS_KEYED_TWICE', instrument || ' ' || version, null, null, null, null
from keyed_twice
union all
select site_id, 'CODER_DRIFT', actor_id || ' ' || scheme, null, null, null, null
from compared
cross join threshold
where own > others * coder_drift_ratio and (own - others) * (own - others) > 9 * (own + others)
union all
select site_id, 'SITE_QUIET', strftime(received_on, '%Y-%m-%d'), null, null, null, null
from pause
cross join threshold
where days > quiet_days
