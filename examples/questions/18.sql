-- 18. Does the interviewer matter?
-- Reading: passages per hour of interview by code and interviewer, beside those of the site's other interviewers. Ratios far from 1 with
--   many interviews on both sides deserve a talk.
-- Caveats: interviewers saw different dyads. Rates differ by chance: with n passages expected the SD is about the root of n.

with rated as (
  select
    site_id,
    code,
    interviewer_id,
    count(*) as n_interviews,
    sum(n_passages) as passages,
    sum(minutes) / 60 as hours
  from marts.recall_code
  where minutes > 0 and interviewer_id is not null
  group by site_id, code, interviewer_id
),

summed as (
  select site_id, code, sum(passages) as passages, sum(hours) as hours from rated group by site_id, code
)

select
  rated.site_id,
  rated.code,
  rated.interviewer_id,
  rated.n_interviews,
  rated.passages,
  rated.passages / rated.hours as per_hour,
  (summed.passages - rated.passages) / nullif(summed.hours - rated.hours, 0) as per_hour_of_others,
  per_hour / nullif(per_hour_of_others, 0) as ratio
from rated
inner join summed using (site_id, code)
order by rated.site_id, rated.code, rated.interviewer_id
