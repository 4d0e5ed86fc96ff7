-- 6. Where do client and therapist disagree most: who is higher, when, and on what?
-- Reading: by subscale and part of the treatment: mean of both, mean difference (therapist minus client), its mean size, and how
--   often the therapist is the higher one. On the common range of both forms.
-- Caveats: later sessions are those of clients who stayed.

with pair as (
  select
    own.scale,
    case
      when own.session_number <= 3 then '1-3'
      when own.session_number <= 6 then '4-6'
      when own.session_number <= 10 then '7-10'
      else '11 and later'
    end as sessions,
    own.session_number,
    own.common_mean as by_client,
    other.common_mean as by_therapist
  from marts.alliance_session as own
  inner join marts.alliance_session as other using (site_id, client_id, episode_id, session_number, occasion, scale)
  where own.rater = 'client' and other.rater = 'therapist' and own.common_mean is not null and other.common_mean is not null
)

select
  scale,
  sessions,
  count(*) as n,
  avg(by_client) as client_mean,
  avg(by_therapist) as therapist_mean,
  avg(by_therapist - by_client) as mean_difference,
  avg(abs(by_therapist - by_client)) as mean_size,
  avg((by_therapist > by_client)::integer) as therapist_higher
from pair
group by scale, sessions
order by scale <> 'total', scale, min(session_number)
