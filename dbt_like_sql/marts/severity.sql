-- marts.severity: in which band a score lies
-- grain: site_id, event_id, scale, norm_set
-- scope: site
-- source: the bands of the norm set (`dyadlog instruments` shows them with source and status).
-- A score belongs to the highest band that begins at it or below; a prorated score between two bands to the lower one. Bands
-- describe a score; they are no diagnosis and judge no change (that is marts.outcome_client).

with band as (
  select * from study.severity_band
)

select
  score.site_id,
  score.event_id,
  score.client_id,
  score.episode_id,
  score.session_number,
  score.occasion,
  score.instrument,
  score.version,
  score.rater,
  score.scale,
  band.norm_set,
  score.score,
  band.severity,
  band.severity_rank
from marts.instrument_score as score
inner join band
  on score.instrument = band.instrument
  and score.version = band.version
  and score.scale = band.scale
  and round(score.score, 9) >= band.least
qualify row_number() over (
  partition by score.site_id, score.event_id, score.scale, band.norm_set order by band.severity_rank desc
) = 1
