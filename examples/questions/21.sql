-- 21. Do experienced therapists recognise and repair ruptures better?
-- Reading: by band of years of practice: share of the client's reports that the therapist shares, and share of ruptures (drop of the
--   client's rating by one own SD) that were repaired, of those whose end can be seen.
-- Caveats: therapists count by their sessions. Other rules: change `drop_own_sd_k1`.

with banded as (
  select
    site_id,
    therapist_id,
    case when years_experience < 3 then 'below 3' when years_experience < 10 then '3 to 9' else '10 and more' end as years,
    years_experience
  from marts.therapist
  where years_experience is not null
),

recognised as (
  select banded.years, count(*) as n_reported, avg(rupture.is_recognised::integer) as recognised
  from marts.rupture_session as rupture
  inner join marts.session using (site_id, client_id, episode_id, session_number)
  inner join banded on session.site_id = banded.site_id and session.therapist_id = banded.therapist_id
  where rupture.basis = 'recognition' and rupture.is_recognised is not null
  group by banded.years
),

repaired as (
  select banded.years, count(*) as n_dropped, avg((rupture.status = 'repaired')::integer) as repaired
  from marts.rupture_event as rupture
  inner join marts.session using (site_id, client_id, episode_id, session_number)
  inner join banded on session.site_id = banded.site_id and session.therapist_id = banded.therapist_id
  where rupture.rule_id = 'drop_own_sd_k1' and rupture.source = 'client' and rupture.status <> 'censored'
  group by banded.years
),

therapist as (
  select years, count(*) as n_therapists, min(years_experience) as from_years from banded group by years
)

select
  therapist.years,
  therapist.n_therapists,
  recognised.n_reported,
  recognised.recognised,
  repaired.n_dropped,
  repaired.repaired
from therapist
left join recognised using (years)
left join repaired using (years)
order by therapist.from_years
