-- quality.peer: where a site stands among the others, without naming them
-- grain: site_id, indicator
-- scope: study
-- The others are those with at least `peers_min` to look at. With fewer than `peers_sites` of them nothing is said, because
-- one could be recognised; shares are rounded to whole percents for the same reason.

with indicator as (
  select * from quality.indicator
),

threshold as (
  select * from study.threshold
),

peer as (
  select
    own.site_id,
    own.indicator,
    other.n,
    other.n_denominator,
    other.n / other.n_denominator as share
  from indicator as own
  cross join threshold
  inner join indicator as other
    on own.indicator = other.indicator
    and own.site_id <> other.site_id
    and other.n_denominator >= threshold.peers_min
),

band as (
  select
    site_id,
    indicator,
    count(*) as n_peers,
    quantile_cont(share, 0.1) as low,
    quantile_cont(share, 0.5) as middle,
    quantile_cont(share, 0.9) as high,
    sum(n)::bigint as n,
    sum(n_denominator)::bigint as n_denominator
  from peer
  group by site_id, indicator
)

select
  own.site_id,
  own.indicator,
  coalesce(band.n_peers, 0)::bigint as n_peers,
  case when band.n_peers >= threshold.peers_sites then round(band.low, 2) end as share_low,
  case when band.n_peers >= threshold.peers_sites then round(band.middle, 2) end as share_middle,
  case when band.n_peers >= threshold.peers_sites then round(band.high, 2) end as share_high,
  case when band.n_peers >= threshold.peers_sites then round(band.n / band.n_denominator, 2) end as share_pooled
from indicator as own
cross join threshold
left join band on own.site_id = band.site_id and own.indicator = band.indicator
