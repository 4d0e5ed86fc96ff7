-- marts.course_slope: rate of change of a client by a mixed model
-- grain: site_id, client_id, episode_id, instrument, version, rater, scale
-- scope: study
-- python: hlm_slopes
-- source: Speer & Greenbaum 1995, Journal of Consulting and Clinical Psychology 63, 1044-1048 (use) [M]; Bates, Maechler,
--         Bolker & Walker 2015, Journal of Statistical Software 67(1) (model).
-- score ~ session + (session | client) over all sites, by restricted maximum likelihood. Scores count by session number, intake
-- as session 0; end and follow-up have no place in the course. Clients with three such scores or more, three clients or more.
-- Estimated in Python (assets/warehouse/steps.py): fixed start, tolerance and order, rounded. Only for instruments with a rule
-- whose method is `hlm` or `hlm_deviation`. slope = fixed_slope + deviation (empirical Bayes); every figure moves with
-- every delivery, since every client is part of the model.

with asked as (
  select distinct instrument, version, scale from study.outcome_rule where method in ('hlm', 'hlm_deviation')
),

timed as (
  select
    score.site_id,
    score.client_id,
    score.episode_id,
    score.instrument,
    score.version,
    score.rater,
    score.scale,
    score.measurement,
    score.score,
    coalesce(score.session_number, 0)::double as place
  from marts.outcome_score as score
  inner join asked
    on score.instrument = asked.instrument and score.version = asked.version and score.scale = asked.scale
  where score.session_number is not null or score.occasion = 'intake'
),

course as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    version,
    rater,
    scale,
    count(*)::integer as n_scores,
    list(place order by measurement) as places,
    list(score order by measurement) as scores
  from timed
  group by site_id, client_id, episode_id, instrument, version, rater, scale
  having count(*) >= 3
),

fitted as (
  select
    instrument,
    version,
    rater,
    scale,
    list(site_id order by site_id, client_id, episode_id) as site_ids,
    list(client_id order by site_id, client_id, episode_id) as client_ids,
    list(episode_id order by site_id, client_id, episode_id) as episode_ids,
    list(n_scores order by site_id, client_id, episode_id) as counts,
    hlm_slopes(
      list(places order by site_id, client_id, episode_id), list(scores order by site_id, client_id, episode_id)
    ) as slopes
  from course
  group by instrument, version, rater, scale
),

client as (
  select
    instrument,
    version,
    rater,
    scale,
    unnest(site_ids) as site_id,
    unnest(client_ids) as client_id,
    unnest(episode_ids) as episode_id,
    unnest(counts) as n_scores,
    unnest(slopes) as estimated
  from fitted
)

select
  site_id,
  client_id,
  episode_id,
  instrument,
  version,
  rater,
  scale,
  n_scores,
  estimated.fixed_intercept as fixed_intercept,
  estimated.fixed_slope as fixed_slope,
  estimated.intercept as intercept,
  estimated.slope as slope,
  estimated.deviation as deviation,
  estimated.se as slope_se
from client
