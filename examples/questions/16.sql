-- 16. In which sessions did the therapist push work that was not the client's?
-- Reading: sessions whose task scale the therapist rates at least a point (of the common range) higher than the client, the largest
--   difference first, with what a recall interview about the session says (passages with the code that both had different aims).
-- Caveats: the difference is a hint, no finding: a client who rates everything low gets there too (client_within says how the session
--   compares with the client's others, in scale points). `agenda_differs` is the code of the simulated study.

with interview as (
  select site_id, client_id, episode_id, session_number, sum(n_passages) as passages
  from marts.recall_code
  where code = 'agenda_differs'
  group by site_id, client_id, episode_id, session_number
)

select
  own.site_id,
  own.client_id,
  own.session_number,
  own.common_mean as client_task,
  other.common_mean as therapist_task,
  other.common_mean - own.common_mean as difference,
  own.within as client_within,
  interview.passages as agenda_differs
from marts.alliance_session as own
inner join marts.alliance_session as other
  on own.site_id = other.site_id
  and own.client_id = other.client_id
  and own.episode_id = other.episode_id
  and own.session_number = other.session_number
  and own.occasion = other.occasion
  and own.scale = other.scale
left join interview
  on own.site_id = interview.site_id
  and own.client_id = interview.client_id
  and own.episode_id = interview.episode_id
  and own.session_number = interview.session_number
where own.rater = 'client' and other.rater = 'therapist' and own.scale = 'task'
  and other.common_mean - own.common_mean >= 1
order by difference desc, own.site_id, own.client_id, own.session_number
