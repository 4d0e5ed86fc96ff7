-- marts.recall_code: codes of recall interviews
-- grain: site_id, client_id, episode_id, session_number, perspective, coder_id, code
-- scope: site
-- source: Lavik, McAleavey, Kvendseth & Moltu 2022, Frontiers in Psychology 13:915932.
-- rules: `all_codes_of_the_site`: for every interview that a coder has coded there is a row for every code that occurs at the
--        site, with 0 passages where this one has none. Interviews that were not held or not coded yet have no rows: they are not
--        zero (marts.recall_interview). A coded interview without any passage cannot be told from one that waits.
-- Shares per minute need the duration of the interview, which sites may leave out.

with moment as (
  select
    event.site_id,
    event.client_id,
    event.episode_id,
    event.session_number,
    (event.payload ->> '$.perspective') as perspective,
    (event.payload ->> '$.code') as code,
    (event.payload ->> '$.coder_id') as coder_id,
    (event.payload ->> '$.start_second')::decimal(18, 3) as start_second,
    (event.payload ->> '$.end_second')::decimal(18, 3) as end_second
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'recall.moment' and waits_for is null
),

coded as (
  select site_id, client_id, episode_id, session_number, perspective, coder_id, count(*)::integer as n_passages_in_all
  from moment
  group by site_id, client_id, episode_id, session_number, perspective, coder_id
),

known as (
  select distinct site_id, code from moment
),

counted as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    perspective,
    coder_id,
    code,
    count(*)::integer as n_passages,
    sum(end_second - start_second order by start_second, end_second)::double as seconds,
    min(start_second)::double as first_start_second
  from moment
  group by site_id, client_id, episode_id, session_number, perspective, coder_id, code
)

select
  coded.site_id,
  coded.client_id,
  interview.therapist_id,
  coded.episode_id,
  coded.session_number,
  coded.perspective,
  interview.interviewer_id,
  interview.minutes,
  coded.coder_id,
  known.code,
  coalesce(counted.n_passages, 0) as n_passages,
  coded.n_passages_in_all,
  counted.seconds,
  counted.first_start_second,
  'all_codes_of_the_site' as rule_id
from coded
inner join known on coded.site_id = known.site_id
left join counted
  on coded.site_id = counted.site_id
  and coded.client_id = counted.client_id
  and coded.episode_id = counted.episode_id
  and coded.session_number = counted.session_number
  and coded.perspective = counted.perspective
  and coded.coder_id is not distinct from counted.coder_id
  and known.code = counted.code
left join marts.recall_interview as interview
  on coded.site_id = interview.site_id
  and coded.client_id = interview.client_id
  and coded.episode_id = interview.episode_id
  and coded.session_number = interview.session_number
  and coded.perspective = interview.perspective
