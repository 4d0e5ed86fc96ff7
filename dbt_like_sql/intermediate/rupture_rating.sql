-- intermediate.rupture_rating: every total alliance rating with the one before and those that follow
-- grain: site_id, client_id, episode_id, session_number, rater, instrument, version, occasion
-- scope: site
-- Scores as in intermediate.rating_course: higher is better.

with place as (
  select *, unnest(range(1, n_ratings + 1)) as nth
  from intermediate.rating_course
)

select
  site_id,
  client_id,
  episode_id,
  sessions[nth] as session_number,
  therapist_ids[nth] as therapist_id,
  event_ids[nth] as event_id,
  rater,
  instrument,
  version,
  occasion,
  n_ratings,
  mean,
  own_sd,
  mean_range,
  score_range,
  improvement_sign,
  -- place 0 is empty
  sessions[nth - 1] as previous_session_number,
  scores[nth - 1] as previous_score,
  scores[nth] as score,
  scores[nth - 1] - scores[nth] as drop_size,
  sessions[nth + 1:] as later_sessions,
  scores[nth + 1:] as later_scores
from place
