-- 5. How often do client and therapist agree?
-- Reading: per site and over all: mean correlation within dyads, mean difference (therapist minus client; below zero the therapist
--   sees it worse), mean size of the difference, and the share of sessions on which they lie no further apart than half a point
--   of an answer. All on the common range of both forms.
-- Caveats: r within a dyad needs three sessions rated by both; many dyads have fewer. A high r and a large difference can go together.

select
  coalesce(site_id, 'all sites') as site,
  count(*) as n_dyads,
  sum(n_pairs) as n_sessions,
  count(r) as n_with_r,
  avg(r) as mean_r,
  avg(mean_difference) as mean_difference,
  avg(mean_abs_difference) as mean_size,
  sum(share_within * n_pairs) / sum(n_pairs) as share_within_half_a_point
from marts.alliance_congruence
where scale = 'total'
group by grouping sets ((site_id), ())
order by site_id nulls first
