-- 1. Does client-rated alliance at session 1 or 2 relate to improvement?
-- Reading: r with the residual gain (turned so that plus is better) beside r with plain change, per site and over all sites, with the
--   95 % interval of Fisher's z. Meta-analyses find about .28 for any time of rating; early ratings of small sites scatter widely.
-- Caveats: clients without a later score are not in it, and they are not like the others. `all sites` mixes differences between
--   sites with those within. An early rating and an early change can have a common cause.

with direction as (
  select distinct instrument, version, improvement_sign from marts.outcome_score
),

client as (
  select
    dyad.site_id,
    dyad.client_id,
    dyad.instrument as alliance,
    outcome.instrument as outcome,
    outcome.improvement,
    outcome.residual_gain * direction.improvement_sign as gain,
    unnest([
      {'early': 's1', 'rating': dyad.early_s1},
      {'early': 's2', 'rating': dyad.early_s2},
      {'early': 's1_2', 'rating': dyad.early_s1_2}
    ]) as given
  from marts.alliance_dyad as dyad
  inner join marts.outcome_client as outcome using (site_id, client_id, episode_id)
  inner join direction on outcome.instrument = direction.instrument and outcome.version = direction.version
  where dyad.rater = 'client' and dyad.scale = 'total' and outcome.rater = 'client' and outcome.rule_id = 'first_last'
),

related as (
  select
    alliance,
    outcome,
    given.early as early,
    coalesce(site_id, 'all sites') as site,
    count(*) as n,
    corr(given.rating, improvement) as r_change,
    corr(given.rating, gain) as r_gain
  from client
  where given.rating is not null and gain is not null
  group by grouping sets ((alliance, outcome, early, site_id), (alliance, outcome, early))
  having count(*) > 3
)

select
  *,
  tanh(atanh(r_gain) - 1.96 / sqrt(n - 3)) as low,
  tanh(atanh(r_gain) + 1.96 / sqrt(n - 3)) as high
from related
where abs(r_gain) < 1
order by alliance, outcome, early, site = 'all sites' desc, site
