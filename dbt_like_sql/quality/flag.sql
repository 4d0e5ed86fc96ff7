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
-- CODER_DISAGREES: kappa of two coders on the presence of a code, its upper limit below the least of study.yaml.
-- SCORE_JUMPS: a mean answer leaps over more than the share of the answer range from one session to the next.
-- CLIENT_TWICE: two clients with the same long forms at the same sessions; the flag is on the one whose id comes later.
-- SCORES_SHIFTED: first scores on a form that were sent lately differ from those before (quality.score_history).
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

disagreeing as (
  select site_id, scheme || ' ' || code || ' ' || coder_id || ' ' || other_coder_id as subject
  from marts.coder_agreement
  cross join threshold
  where level = 'code' and measure = 'presence' and rule_id = 'kappa' and coder_id is not null
    and n_units >= coder_kappa_min
    and mean_value between 0.1 and 0.9
    and upper < coder_kappa_least
),

-- leaps
course as (
  select
    score.*,
    form.answer_max - form.answer_min as width,
    lag(item_mean) over form_by_form as mean_before,
    session_number - lag(session_number) over form_by_form as sessions_since
  from marts.instrument_score as score
  inner join study.form as form on score.instrument = form.instrument and score.version = form.version
  where score.scale = 'total' and score.session_number is not null
  window form_by_form as (
    partition by score.site_id, client_id, episode_id, score.instrument, score.version, rater, occasion
    order by session_number, event_id
  )
),

leaping as (
  select course.*
  from course
  cross join threshold
  where sessions_since = 1 and abs(item_mean - mean_before) > score_jump * width
),

-- persons
telling as (
  select
    filled.site_id, filled.client_id, filled.event_id, filled.session_number, questionnaire.instrument, questionnaire.version,
    questionnaire.rater, questionnaire.occasion, questionnaire.items
  from filled
  inner join intermediate.questionnaire using (site_id, event_id)
  where filled.n_items >= 8 and filled.session_number is not null
    and len(filled.given) = filled.n_items and list_unique(filled.given) >= 3
),

told as (
  select site_id, client_id, count(*) as n
  from telling
  group by site_id, client_id
),

alike as (
  select one.site_id, one.client_id, other.client_id as other_client_id, count(distinct one.event_id) as n
  from telling as one
  inner join telling as other
    on one.site_id = other.site_id
    and one.instrument = other.instrument
    and one.version = other.version
    and one.rater = other.rater
    and one.occasion = other.occasion
    and one.session_number = other.session_number
    and one.items = other.items
  where one.client_id > other.client_id
  group by one.site_id, one.client_id, other.client_id
),

twice as (
  select distinct alike.site_id, alike.client_id
  from alike
  inner join told as own on alike.site_id = own.site_id and alike.client_id = own.client_id
  inner join told as theirs on alike.site_id = theirs.site_id and alike.other_client_id = theirs.client_id
  cross join threshold
  where alike.n >= client_twice_min and 2 * alike.n >= least(own.n, theirs.n)
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
select site_id, 'CODER_DISAGREES', subject, null, null, null, null
from disagreeing
union all
select site_id, 'SCORE_JUMPS', event_id, event_id, client_id, episode_id, session_number
from leaping
union all
select site_id, 'CLIENT_TWICE', client_id, null, client_id, null, null
from twice
union all
select site_id, 'SCORES_SHIFTED', instrument || ' ' || version || ' ' || rater || ' ' || occasion, null, null, null, null
from quality.score_history
where is_shifted
union all
select site_id, 'SITE_QUIET', strftime(received_on, '%Y-%m-%d'), null, null, null, null
from pause
cross join threshold
where days > quiet_days
