-- quality.indicator: shares by which sites can be compared
-- grain: site_id, indicator
-- scope: site
-- n of n_denominator; a site without anything to look at has 0 of 0, which is no share.

with receipt as (
  select site_id, sum(held_back)::bigint as n, sum(lines)::bigint as of_all
  from quality.receipt
  where voided_in is null
  group by site_id
),

form as (
  select site_id, sum(received)::bigint as n, sum(expected)::bigint as of_all
  from quality.completeness
  group by site_id
),

session as (
  select
    site_id,
    count(*) filter (where status in ('missed', 'cancelled')) as n,
    count(*) filter (where status <> 'scheduled') as of_all
  from marts.session
  group by site_id
),

gap as (
  select site_id, count(*) filter (where n_missing > 0) as n, count(*) as of_all
  from marts.instrument_score
  where scale = 'total'
  group by site_id
),

ceiling as (
  select site_id, count(*) filter (where is_at_ceiling) as n, count(is_at_ceiling) as of_all
  from marts.alliance_session
  where scale = 'total'
  group by site_id
),

straight as (
  select site_id, n_violated as n, n_denominator as of_all
  from intermediate.found
  where code = 'ANSWERS_STRAIGHT_LINED'
),

event as (
  select
    site_id,
    count(*) filter (where revision > 1 and state <> 'retracted') as corrected,
    count(*) filter (where state = 'retracted') as retracted,
    count(*) filter (where waits_for = 'consent') as withdrawn,
    count(*) as of_all
  from staging.event
  left join intermediate.reference using (site_id, event_id)
  group by site_id
),

counted as (
  select site_id, 'lines_held_back' as indicator, n, of_all from receipt
  union all
  select site_id, 'forms_received', n, of_all from form
  union all
  select site_id, 'sessions_not_held', n, of_all from session
  union all
  select site_id, 'forms_with_gaps', n, of_all from gap
  union all
  select site_id, 'ratings_at_ceiling', n, of_all from ceiling
  union all
  select site_id, 'answers_straight_lined', n, of_all from straight
  union all
  select site_id, 'facts_corrected', corrected, of_all from event
  union all
  select site_id, 'facts_retracted', retracted, of_all from event
  union all
  select site_id, 'facts_withdrawn', withdrawn, of_all from event
)

select site_id, indicator, n::bigint as n, of_all::bigint as n_denominator
from counted
