-- marts.variance_share: how much of the variance lies between sites, therapists, clients and sessions
-- grain: site_id, quantity, instrument, version, rater, occasion, rule_id, level
-- scope: study
-- python: nested_variances, crossed_variances
-- source: Shrout & Fleiss 1979, Psychological Bulletin 86, 420-428 (ICC(1)); Snedecor & Cochran 1967, Statistical Methods,
--         section 10.16 (n0 for unequal groups) [M]; Bates, Maechler, Bolker & Walker 2015, Journal of Statistical Software 67(1)
--         (REML). Therapist effects: Wampold & Brown 2005, Journal of Consulting and Clinical Psychology 73, 914-923 [M].
-- rules: `alliance`: the client's mean; `improvement`: from first to last score (intermediate.therapist_value).
--        anova_therapist   one way, clients in therapists: share = (MSB - MSW) / (MSB + (n0 - 1) MSW),
--                          n0 = (N - sum n n / N) / (G - 1); it may be negative and is then no variance
--        anova_therapist_mean_size   the same with N / G for n0 (multilevel 2.7)
--        anova_site        one way, clients in sites
--        reml_therapist    clients in therapists, restricted maximum likelihood
--        reml_site         clients in therapists, and sites, which therapists may cross where study.yaml says that their ids are
--                          shared (`shared_therapist_ids`)
--        reml_session      ratings in clients in therapists; reml_session_trend: and a common slope on the session number
-- reliability: (MSB - MSW) / MSB, ICC(2): of the mean of a group of average size. Rows without a site are about all sites;
-- there a therapist is one per site unless ids are shared. Values are taken at nine decimals, so that sums are exact. REML is
-- empty where it cannot be fitted (a single group, or groups of one).

with setting as (
  select shared_therapist_ids from study.setting
),

value as (
  select
    therapist_value.*,
    value::decimal(18, 9) as exact_value,
    client_id || ' ' || episode_id as course,
    case when shared_therapist_ids then therapist_id else site_id || '/' || therapist_id end as therapist
  from intermediate.therapist_value
  cross join setting
),

placed as (
  select null::varchar as place, * from value
  union all
  select site_id as place, * from value
),

-- one way, closed form
grouped as (
  select place, quantity, instrument, version, rater, occasion, exact_value, 'therapist' as level, therapist as who
  from placed
  union all
  select place, quantity, instrument, version, rater, occasion, exact_value, 'site', site_id
  from placed
  where place is null
),

member as (
  select
    place,
    quantity,
    instrument,
    version,
    rater,
    occasion,
    level,
    who,
    count(*) as n,
    sum(exact_value)::double / count(*) as mean,
    case when min(exact_value) < max(exact_value)
      then greatest(sum(exact_value * exact_value)::double - sum(exact_value)::double ** 2 / count(*), 0)
      else 0
    end as squares
  from grouped
  group by place, quantity, instrument, version, rater, occasion, level, who
),

summed as (
  select
    place,
    quantity,
    instrument,
    version,
    rater,
    occasion,
    level,
    sum(n)::bigint as n_values,
    count(*) as n_groups,
    sum(n * n order by who)::double as size_squares,
    sum(n * mean order by who) / sum(n)::double as grand_mean,
    sum(squares order by who) as within_squares
  from member
  group by place, quantity, instrument, version, rater, occasion, level
),

between_groups as (
  select
    summed.place,
    summed.quantity,
    summed.instrument,
    summed.version,
    summed.rater,
    summed.occasion,
    summed.level,
    summed.n_values,
    summed.n_groups,
    (summed.n_values - summed.size_squares / summed.n_values) / nullif(summed.n_groups - 1, 0) as n0,
    summed.n_values / summed.n_groups as mean_size,
    summed.within_squares / nullif(summed.n_values - summed.n_groups, 0) as ms_within,
    sum(member.n * (member.mean - summed.grand_mean) ** 2 order by member.who) / nullif(summed.n_groups - 1, 0)
      as ms_between
  from summed
  inner join member
    on summed.place is not distinct from member.place
    and summed.quantity = member.quantity
    and summed.instrument = member.instrument
    and summed.version = member.version
    and summed.rater = member.rater
    and summed.occasion is not distinct from member.occasion
    and summed.level = member.level
  group by
    summed.place,
    summed.quantity,
    summed.instrument,
    summed.version,
    summed.rater,
    summed.occasion,
    summed.level,
    summed.n_values,
    summed.n_groups,
    summed.size_squares,
    summed.within_squares
),

ruled as (
  select *, 'anova_' || level as rule_id, n0 as size from between_groups
  union all
  select *, 'anova_therapist_mean_size', mean_size
  from between_groups
  where level = 'therapist'
),

anova as (
  select
    place,
    quantity,
    instrument,
    version,
    rater,
    occasion,
    rule_id,
    level,
    n_values,
    n_groups,
    size as n0,
    ms_between,
    ms_within,
    (ms_between - ms_within) / size as variance,
    (ms_between - ms_within) / nullif(ms_between + (size - 1) * ms_within, 0) as share,
    (ms_between - ms_within) / nullif(ms_between, 0) as reliability
  from ruled
  union all
  select
    place,
    quantity,
    instrument,
    version,
    rater,
    occasion,
    rule_id,
    'client',
    n_values,
    n_values,
    null,
    null,
    null,
    ms_within,
    size * ms_within / nullif(ms_between + (size - 1) * ms_within, 0),
    null
  from ruled
),

-- restricted maximum likelihood
client_cell as (
  select
    place,
    quantity,
    instrument,
    version,
    rater,
    occasion,
    therapist,
    site_id,
    count(*) as n,
    sum(exact_value)::double as total,
    sum(exact_value * exact_value)::double as squares
  from placed
  group by place, quantity, instrument, version, rater, occasion, therapist, site_id
),

numbered as (
  select
    *,
    dense_rank() over (order by therapist) as therapist_number,
    dense_rank() over (partition by place, quantity, instrument, version, rater, occasion order by site_id) - 1 as site_number
  from client_cell
),

of_clients as (
  select
    place,
    quantity,
    instrument,
    version,
    rater,
    occasion,
    sum(n)::bigint as n_clients,
    count(distinct therapist_number) as n_therapists,
    count(distinct site_number) as n_sites,
    nested_variances(
      [list(therapist_number order by therapist_number, site_number)],
      list([n, total, squares] order by therapist_number, site_number)
    ) as by_therapist,
    case when place is null then crossed_variances(
      list(site_number order by therapist_number, site_number),
      list(therapist_number order by therapist_number, site_number),
      list([n, total, squares] order by therapist_number, site_number)
    ) end as by_site
  from numbered
  group by place, quantity, instrument, version, rater, occasion
),

rating as (
  select
    alliance.instrument,
    alliance.version,
    alliance.rater,
    alliance.occasion,
    case when shared_therapist_ids then treated.therapist_id else treated.site_id || '/' || treated.therapist_id end as therapist,
    treated.site_id,
    treated.client_id,
    treated.episode_id,
    alliance.session_number,
    alliance.item_mean::decimal(18, 9) as exact_mean
  from marts.alliance_session as alliance
  inner join intermediate.session_therapist as treated
    on alliance.site_id = treated.site_id
    and alliance.client_id = treated.client_id
    and alliance.episode_id = treated.episode_id
    and alliance.session_number = treated.session_number
  cross join setting
  where alliance.scale = 'total' and alliance.item_mean is not null
),

rating_cell as (
  select
    null::varchar as place,
    instrument,
    version,
    rater,
    occasion,
    dense_rank() over (order by therapist) as therapist_number,
    dense_rank() over (order by site_id, client_id, episode_id) as client_number,
    count(*) as n,
    sum(exact_mean)::double as total,
    sum(exact_mean * exact_mean)::double as squares,
    sum(session_number)::double as times,
    sum(session_number * session_number)::double as time_squares,
    sum(session_number * exact_mean)::double as products
  from rating
  group by instrument, version, rater, occasion, therapist, site_id, client_id, episode_id
),

of_sessions as (
  select
    place,
    instrument,
    version,
    rater,
    occasion,
    sum(n)::bigint as n_values,
    count(distinct therapist_number) as n_therapists,
    count(*) as n_clients,
    nested_variances(
      [
        list(therapist_number order by therapist_number, client_number),
        list(client_number order by therapist_number, client_number)
      ],
      list([n, total, squares] order by therapist_number, client_number)
    ) as plain,
    nested_variances(
      [
        list(therapist_number order by therapist_number, client_number),
        list(client_number order by therapist_number, client_number)
      ],
      list([n, total, squares, times, time_squares, products] order by therapist_number, client_number)
    ) as with_trend
  from rating_cell
  group by place, instrument, version, rater, occasion
),

fitted as (
  select
    place, quantity, instrument, version, rater, occasion, 'reml_therapist' as rule_id, n_clients as n_values,
    unnest(['therapist', 'client']) as level, unnest([n_therapists, n_clients]) as n_groups,
    unnest(coalesce(by_therapist.variances, [null, null])) as variance, list_sum(by_therapist.variances) as whole,
    by_therapist.intercept as intercept
  from of_clients
  union all
  select
    place, quantity, instrument, version, rater, occasion, 'reml_site', n_clients,
    unnest(['site', 'therapist', 'client']), unnest([n_sites, n_therapists, n_clients]),
    unnest(coalesce(by_site.variances, [null, null, null])), list_sum(by_site.variances), by_site.intercept
  from of_clients
  where place is null
  union all
  select
    place, 'alliance', instrument, version, rater, occasion, 'reml_session', n_values,
    unnest(['therapist', 'client', 'session']), unnest([n_therapists, n_clients, n_values]),
    unnest(coalesce(plain.variances, [null, null, null])), list_sum(plain.variances), plain.intercept
  from of_sessions
  union all
  select
    place, 'alliance', instrument, version, rater, occasion, 'reml_session_trend', n_values,
    unnest(['therapist', 'client', 'session']), unnest([n_therapists, n_clients, n_values]),
    unnest(coalesce(with_trend.variances, [null, null, null])), list_sum(with_trend.variances), with_trend.intercept
  from of_sessions
)

select
  place as site_id,
  quantity,
  instrument,
  version,
  rater,
  occasion,
  rule_id,
  level,
  n_values,
  n_groups,
  n0,
  ms_between,
  ms_within,
  variance,
  share,
  reliability,
  null::double as intercept
from anova
union all
select
  place,
  quantity,
  instrument,
  version,
  rater,
  occasion,
  rule_id,
  level,
  n_values,
  n_groups,
  null,
  null,
  null,
  variance,
  variance / nullif(whole, 0),
  null,
  intercept
from fitted
