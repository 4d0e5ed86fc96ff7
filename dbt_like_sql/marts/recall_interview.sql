-- marts.recall_interview: recall interviews, planned and done
-- grain: site_id, client_id, episode_id, session_number, perspective
-- scope: site
-- source: Lavik, McAleavey, Kvendseth & Moltu 2022, Frontiers in Psychology 13:915932 (two sessions, two perspectives, 47 of
--         48 interviews); Larsen, Flesaker & Stege 2008, International Journal of Qualitative Methods 7, 18-37 (the interview) [M].
-- rules: `planned`: `interviews` in study.yaml plans it, for clients of whom any interview is reported (`clients: asked`) or for
--        all who have a session; `reported_only`: reported without such a plan.
-- status: what was reported (done before declined before lost before planned, where several reports differ); of planned
-- interviews without a report `missing` if the session was held and `not_due` if it was not. A missing interview is a row
-- and never a zero.

with report as (
  select
    event.site_id,
    event.event_id,
    event.client_id,
    event.episode_id,
    event.session_number,
    event.study_day,
    event.actor_id as interviewer_id,
    (event.payload ->> '$.perspective') as perspective,
    (event.payload ->> '$.status') as status,
    (event.payload ->> '$.minutes')::double as minutes
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'recall.interview' and waits_for is null
),

best as (
  select
    *,
    count(*) over (partition by site_id, client_id, episode_id, session_number, perspective)::integer as n_reports
  from report
  qualify row_number() over (
    partition by site_id, client_id, episode_id, session_number, perspective
    order by list_position(['done', 'declined', 'lost', 'planned'], status), event_id
  ) = 1
),

asked as (
  select distinct site_id, client_id, episode_id, true as is_asked from report
),

client as (
  select distinct session.site_id, session.client_id, session.episode_id, coalesce(asked.is_asked, false) as is_asked
  from marts.session
  left join asked using (site_id, client_id, episode_id)
),

plan as (
  select client.site_id, client.client_id, client.episode_id, interview.session_number, interview.perspective
  from client
  inner join study.interview on client.site_id = interview.site_id
  where client.is_asked or not interview.asked_only
),

every as (
  select site_id, client_id, episode_id, session_number, perspective from plan
  union
  select site_id, client_id, episode_id, session_number, perspective from best
),

joined as (
  select
    every.site_id,
    every.client_id,
    every.episode_id,
    every.session_number,
    every.perspective,
    plan.client_id is not null as is_planned,
    session.therapist_id,
    session.status as session_status,
    best.status,
    best.interviewer_id,
    best.study_day,
    best.minutes,
    coalesce(best.n_reports, 0) as n_reports,
    best.event_id
  from every
  left join plan using (site_id, client_id, episode_id, session_number, perspective)
  left join best using (site_id, client_id, episode_id, session_number, perspective)
  left join marts.session
    on every.site_id = session.site_id
    and every.client_id = session.client_id
    and every.episode_id = session.episode_id
    and every.session_number = session.session_number
)

select
  site_id,
  client_id,
  therapist_id,
  episode_id,
  session_number,
  perspective,
  case
    when status is not null then status
    when session_status = 'held' then 'missing'
    else 'not_due'
  end as status,
  is_planned,
  coalesce(session_status, 'not_reported') as session_status,
  interviewer_id,
  study_day,
  minutes,
  n_reports,
  case when is_planned then 'planned' else 'reported_only' end as rule_id,
  event_id
from joined
