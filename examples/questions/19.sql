-- 19. Do experienced or better trained therapists have better alliances and outcomes?
-- Reading: mean of the therapists' means by training level, with the SD between therapists, and over all therapists the correlation
--   with years of practice (row `all`). Expected flat: most studies find nothing.
-- Caveats: therapists are few and each mean rests on few clients; marts.therapist_effect has shrunken means for looking at single ones.

with therapist as (
  select
    effect.quantity,
    effect.instrument,
    effect.rater,
    therapist.training_level,
    therapist.years_experience,
    effect.n_clients,
    effect.mean
  from marts.therapist_effect as effect
  inner join marts.therapist as therapist using (site_id, therapist_id)
  where therapist.years_experience is not null
)

select
  quantity,
  instrument,
  rater,
  coalesce(training_level, 'all') as training_level,
  count(*) as n_therapists,
  sum(n_clients) as n_clients,
  avg(years_experience) as mean_years,
  avg(mean) as mean,
  stddev_samp(mean) as sd,
  case when count(*) > 3 then corr(years_experience, mean) end as r_years
from therapist
group by grouping sets ((quantity, instrument, rater, training_level), (quantity, instrument, rater))
order by quantity, instrument, rater, therapist.training_level nulls last
