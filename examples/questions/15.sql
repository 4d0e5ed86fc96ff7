-- 15. Does shame or fear rise from session 3 to 5 in dyads that end frail?
-- Reading: mean passages with the code in both sessions and the mean difference (plus: it rises), for dyads that end frail (the client
--   left unilaterally, or the alliance was not established by session 5) and the others, by perspective.
-- Caveats: twelve dyads of a site are few: this is a description. What counts as frail is a choice; the study behind the question
--   (Lavik et al. 2022) grouped by reading. `fear_shame` is the code of the simulated study. Only dyads with both interviews coded.

with coded as (
  select site_id, client_id, episode_id, perspective, session_number, avg(n_passages) as passages
  from marts.recall_code
  where code = 'fear_shame' and session_number in (3, 5)
  group by site_id, client_id, episode_id, perspective, session_number
),

both_sessions as (
  select
    site_id,
    client_id,
    episode_id,
    perspective,
    max(passages) filter (where session_number = 3) as third,
    max(passages) filter (where session_number = 5) as fifth
  from coded
  group by site_id, client_id, episode_id, perspective
  having count(*) = 2
)

select
  case
    when coalesce(course.unilateral, false) or dyad.established = 'not_established' then 'frail' else 'steady'
  end as dyads,
  perspective,
  count(*) as n_dyads,
  avg(third) as session_3,
  avg(fifth) as session_5,
  avg(fifth - third) as rise
from both_sessions
left join marts.dropout as course using (site_id, client_id, episode_id)
left join marts.alliance_dyad as dyad
  on both_sessions.site_id = dyad.site_id
  and both_sessions.client_id = dyad.client_id
  and both_sessions.episode_id = dyad.episode_id
  and dyad.rater = 'client'
  and dyad.scale = 'total'
group by dyads, perspective
order by dyads, perspective
