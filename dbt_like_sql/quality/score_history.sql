-- quality.score_history: first scores that a site sent lately beside those it sent before
-- grain: site_id, instrument, version, rater, occasion
-- scope: site
-- Lately: first received within `shift_days` before the site's newest delivery.
-- rules: two-sample Kolmogorov-Smirnov: `distance` is the largest difference of the two shares of scores up to a value,
--        `chance` what it reaches by chance in 2 of 1,000 comparisons, sqrt(ln(2 / 0.002) / 2 x (1 / n + 1 / m)).
-- source: Smirnov 1948, Annals of Mathematical Statistics 19, 279-281 (the limit for large samples)

with threshold as (
  select * from study.threshold
),

first_score as (
  select *, part::decimal(9, 6) as exact_part from quality.first_score
),

received as (
  select
    site_id,
    commit_seq,
    left(received_at, 10)::date as received_on,
    max(left(received_at, 10)::date) over (partition by site_id) as newest_on
  from log.commit
),

placed as (
  select
    first_score.*,
    received_on > newest_on - shift_days as is_late
  from first_score
  inner join received using (site_id, commit_seq)
  cross join threshold
),

told as (
  select
    site_id,
    instrument,
    version,
    rater,
    occasion,
    exact_part,
    count(*) filter (where is_late) as n_lately,
    count(*) filter (where not is_late) as n_before
  from placed
  group by site_id, instrument, version, rater, occasion, exact_part
),

up_to as (
  select
    *,
    sum(n_lately) over upward as up_lately,
    sum(n_before) over upward as up_before,
    sum(n_lately) over everything as all_lately,
    sum(n_before) over everything as all_before
  from told
  window
    upward as (
      partition by site_id, instrument, version, rater, occasion order by exact_part
      rows between unbounded preceding and current row
    ),
    everything as (partition by site_id, instrument, version, rater, occasion)
),

compared as (
  select
    site_id,
    instrument,
    version,
    rater,
    occasion,
    sum(n_lately)::bigint as n_lately,
    sum(n_before)::bigint as n_before,
    sum(exact_part * n_lately) / nullif(sum(n_lately), 0) as mean_lately,
    sum(exact_part * n_before) / nullif(sum(n_before), 0) as mean_before,
    max(abs(up_lately / nullif(all_lately, 0) - up_before / nullif(all_before, 0))) as distance,
    sqrt(ln(2 / 0.002) / 2 * (1 / nullif(max(all_lately), 0) + 1 / nullif(max(all_before), 0))) as chance
  from up_to
  group by site_id, instrument, version, rater, occasion
)

select
  compared.site_id,
  compared.instrument,
  compared.version,
  compared.rater,
  compared.occasion,
  compared.n_lately,
  compared.n_before,
  compared.mean_lately,
  compared.mean_before,
  compared.distance,
  compared.chance,
  case
    when least(compared.n_lately, compared.n_before) >= threshold.peers_min
      then compared.distance > greatest(compared.chance, threshold.shift_distance)
  end as is_shifted
from compared
cross join threshold
