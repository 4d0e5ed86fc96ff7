-- marts.coding_segment: codes that coders gave to segments of sessions
-- grain: site_id, event_id
-- scope: site
-- source: Eubanks, Muran & Safran 2015 (3RS manual: segments, families, significance) [M]; any other scheme in the same form.
-- rules: `as_coded`: every code of every coder in every role as it was delivered. The roles are never mixed: `primary` codes are
--        for analyses, `reliability` codes for agreement (marts.coder_agreement), `consensus` codes replace primary ones where
--        a team agreed on them.
-- `n_alike`: codes that say exactly the same (session, scheme, coder, role, code, place); above 1 one was perhaps sent twice.

with segment as (
  select
    event.site_id,
    event.event_id,
    event.client_id,
    event.therapist_id,
    event.episode_id,
    event.session_number,
    event.study_day,
    event.recorded_day,
    event.actor_id as coder_id,
    (event.payload ->> '$.scheme') as scheme,
    (event.payload ->> '$.coding_role') as coding_role,
    (event.payload ->> '$.code') as code,
    (event.payload ->> '$.family') as family,
    (event.payload ->> '$.start_second')::double as start_second,
    (event.payload ->> '$.end_second')::double as end_second,
    (event.payload ->> '$.significance')::integer as significance
  from staging.event
  inner join intermediate.reference using (site_id, event_id)
  where event.event_type = 'coding.segment' and waits_for is null
)

select
  site_id,
  event_id,
  client_id,
  therapist_id,
  episode_id,
  session_number,
  study_day,
  recorded_day,
  scheme,
  coder_id,
  coding_role,
  code,
  family,
  start_second,
  end_second,
  end_second - start_second as seconds,
  significance,
  count(*) over (
    partition by
      site_id, client_id, episode_id, session_number, scheme, coder_id, coding_role, code, start_second, end_second
  )::integer as n_alike,
  'as_coded' as rule_id
from segment
