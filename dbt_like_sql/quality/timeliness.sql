-- quality.timeliness: days between what happened and its record
-- grain: site_id
-- scope: site
-- By study days, so no calendar date is needed. Plans are left out: they are recorded before the day they are about, as is
-- a fact whose days are the wrong way round (RECORDED_BEFORE_DAY).

with fact as (
  select
    site_id,
    says_when_recorded,
    case when says_when_recorded and recorded_day >= study_day then recorded_day - study_day end as days
  from staging.event
  where state = 'active' and study_day is not null and event_type <> 'session.scheduled'
)

select
  site_id,
  count(*)::bigint as n_facts,
  count(*) filter (where says_when_recorded)::bigint as n_recorded,
  quantile_cont(days, 0.5)::double as days_median,
  quantile_cont(days, 0.9)::double as days_p90
from fact
group by site_id
