-- quality.score_peer: first scores of a site beside those of the others, without naming them
-- grain: site_id, instrument, version, rater, occasion
-- scope: study
-- The others are those with at least `peers_min` clients. With fewer than `peers_sites` of them nothing is said, because one
-- could be recognised; means are rounded to whole percents for the same reason.
-- rules: as in quality.score_history; each of the others counts by its clients.

with threshold as (
  select * from study.threshold
),

told as (
  select site_id, instrument, version, rater, occasion, part::decimal(9, 6) as exact_part, count(*) as n
  from quality.first_score
  group by site_id, instrument, version, rater, occasion, exact_part
),

site as (
  select
    site_id,
    instrument,
    version,
    rater,
    occasion,
    sum(n)::bigint as n,
    sum(exact_part * n) as exact_sum,
    sum(n) >= max(threshold.peers_min) as has_enough
  from told
  cross join threshold
  group by site_id, instrument, version, rater, occasion
),

every as (
  select
    instrument,
    version,
    rater,
    occasion,
    sum(n)::bigint as n,
    sum(exact_sum) as exact_sum,
    count(*) as n_sites
  from site
  where has_enough
  group by instrument, version, rater, occasion
),

other as (
  select
    site.site_id,
    site.instrument,
    site.version,
    site.rater,
    site.occasion,
    site.n,
    site.exact_sum,
    site.has_enough,
    every.n_sites - site.has_enough::integer as n_peers,
    every.n - case when site.has_enough then site.n else 0 end as n_others,
    every.exact_sum - case when site.has_enough then site.exact_sum else 0 end as exact_sum_others
  from site
  inner join every using (instrument, version, rater, occasion)
),

every_told as (
  select
    told.instrument,
    told.version,
    told.rater,
    told.occasion,
    told.exact_part,
    coalesce(sum(told.n) filter (where site.has_enough), 0) as n
  from told
  inner join site using (site_id, instrument, version, rater, occasion)
  group by told.instrument, told.version, told.rater, told.occasion, told.exact_part
),

-- scores up to each value, at the site and at the others
up_to as (
  select
    other.*,
    sum(coalesce(told.n, 0)) over upward as up_own,
    sum(every_told.n - case when other.has_enough then coalesce(told.n, 0) else 0 end) over upward as up_others
  from other
  inner join every_told using (instrument, version, rater, occasion)
  left join told
    on other.site_id = told.site_id
    and other.instrument = told.instrument
    and other.version = told.version
    and other.rater = told.rater
    and other.occasion = told.occasion
    and every_told.exact_part = told.exact_part
  where other.n_peers >= (select peers_sites from threshold)
  window upward as (
    partition by other.site_id, other.instrument, other.version, other.rater, other.occasion order by every_told.exact_part
    rows between unbounded preceding and current row
  )
),

compared as (
  select
    site_id,
    instrument,
    version,
    rater,
    occasion,
    max(abs(up_own / n - up_others / n_others)) as distance,
    sqrt(ln(2 / 0.002) / 2 * (1 / max(n) + 1 / max(n_others))) as chance
  from up_to
  group by site_id, instrument, version, rater, occasion
)

select
  other.site_id,
  other.instrument,
  other.version,
  other.rater,
  other.occasion,
  other.n,
  other.exact_sum / other.n as mean,
  other.n_peers,
  case when compared.distance is not null then round(other.exact_sum_others / other.n_others, 2) end as mean_others,
  round(compared.distance, 2) as distance,
  round(compared.chance, 2) as chance,
  case when other.has_enough then compared.distance > greatest(compared.chance, threshold.shift_distance) end as is_apart
from other
cross join threshold
left join compared using (site_id, instrument, version, rater, occasion)
