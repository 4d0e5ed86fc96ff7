-- 12. Did the therapist recognise the client's rupture?
-- Reading: sessions in which the client reports a rupture and the therapist was asked too: how many of them the therapist also
--   reports, per site and over all, with the 95 % interval (Wilson).
-- Caveats: `recognised` means reported for the same session. A therapist may have seen it and not reported it.

with counted as (
  select
    coalesce(site_id, 'all sites') as site,
    count(*) as n_client_reports,
    count(*) filter (where is_recognised) as n_recognised
  from marts.rupture_session
  where basis = 'recognition' and is_recognised is not null
  group by grouping sets ((site_id), ())
),

shared as (
  select *, n_recognised / n_client_reports as share, 1.96 ** 2 / n_client_reports as z from counted
)

select
  site,
  n_client_reports,
  n_recognised,
  share,
  (share + z / 2 - sqrt(z * (share * (1 - share) + z / 4))) / (1 + z) as low,
  (share + z / 2 + sqrt(z * (share * (1 - share) + z / 4))) / (1 + z) as high
from shared
order by site = 'all sites' desc, site
