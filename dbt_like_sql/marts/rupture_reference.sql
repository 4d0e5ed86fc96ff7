-- marts.rupture_reference: mean of the clients' own standard deviations, against which drops are held
-- grain: rater, instrument, version, occasion
-- scope: study
-- source: Strauss et al. 2006 (mean of within-client SDs) [M]; Gumz et al. 2012, BMC Medical Research Methodology 12:10 (stricter of two).
-- Over all courses of the study with `thresholds.rupture_min_ratings` ratings or more. It moves with every delivery; a rule with a
-- `reference_sd` in study.yaml holds drops against that figure instead.

select
  course.rater,
  course.instrument,
  course.version,
  course.occasion,
  count(*)::integer as n_courses,
  threshold.rupture_min_ratings as min_ratings,
  avg(own_sd order by site_id, client_id, episode_id) as mean_own_sd
from intermediate.rating_course as course
cross join study.threshold as threshold
where course.n_ratings >= threshold.rupture_min_ratings
group by course.rater, course.instrument, course.version, course.occasion, threshold.rupture_min_ratings
