-- marts.alliance_session: alliance of a session as one rater saw it
-- grain: site_id, client_id, episode_id, session_number, rater, instrument, version, occasion, scale
-- scope: site
-- source: Raudenbush & Bryk 2002, Hierarchical Linear Models (centring); Cohen, Cohen, Aiken & West 1999, Multivariate Behavioral
--         Research 34, 315-346 (percent of maximum possible, the common range).
-- A course is all ratings of an episode by one rater on one form, occasion and scale. Where a form was filled in twice for a
-- session, the one recorded first counts; `n_ratings` says how many there were.
--   common_mean   item mean stretched from the range of the form to the common range of the study, higher is better: the
--                 only figure in which two forms may be compared (12 items 1-5 of clients, 10 items 1-7 of therapists)
--   score = site_mean + therapist_deviation + client_deviation + within
--   client_mean   mean over the ratings of the course; therapist_mean: mean of the means of the therapist's clients, not of
--                 rows; site_mean: mean of its therapists' means, own site only. `n_client`, `n_therapist`, `n_site` count
--                 ratings, clients and therapists
--   detrended     score minus the course's own least squares line on session number, from three ratings on; conclusions
--                 can change between within and detrended
--   lag1          the rating of the session numbered one lower, same occasion; empty if that session was not rated. A rating
--                 after session s - 1 comes before an outcome measured before session s: join on the number and mind the occasion.
-- Lagged deviations from a mean of few ratings are biased (Nickell 1981); models for that take the long table from here.

with summed as (
  select
    *,
    lag(session_number) over course as session_before,
    lag(score) over course as score_before,
    count(score) over whole_course as n,
    sum(exact_score) over whole_course as score_sum,
    sum(case when score is not null then session_number end) over whole_course as session_sum,
    sum(case when score is not null then session_number * session_number end) over whole_course as square_sum,
    sum(session_number * exact_score) over whole_course as product_sum
  from intermediate.rating
  window
    course as (
      partition by site_id, client_id, episode_id, rater, instrument, version, occasion, scale order by session_number
    ),
    whole_course as (
      partition by site_id, client_id, episode_id, rater, instrument, version, occasion, scale
      order by session_number
      rows between unbounded preceding and unbounded following
    )
),

centred as (
  select
    *,
    score_sum::double / nullif(n, 0) as client_mean,
    case when session_before = session_number - 1 then score_before end as score_lag1,
    case when n >= 3 then
      (n * product_sum::double - session_sum::double * score_sum::double)
      / (n * square_sum::double - session_sum::double * session_sum::double)
    end as slope
  from summed
)

select
  centred.site_id,
  centred.client_id,
  centred.therapist_id,
  centred.episode_id,
  centred.session_number,
  centred.study_day,
  centred.format,
  centred.rater,
  centred.instrument,
  centred.version,
  centred.occasion,
  centred.scale,
  centred.score,
  centred.item_mean,
  centred.common_mean,
  centred.is_at_ceiling,
  centred.client_mean,
  centred.n::integer as n_client,
  centred.score - centred.client_mean as within,
  level.therapist_mean,
  level.n_clients as n_therapist,
  centred.client_mean - level.therapist_mean as client_deviation,
  level.site_mean,
  level.n_therapists as n_site,
  level.therapist_mean - level.site_mean as therapist_deviation,
  centred.score - centred.client_mean - slope * (centred.session_number - centred.session_sum::double / centred.n) as detrended,
  centred.score_lag1,
  centred.score_lag1 - centred.client_mean as within_lag1,
  centred.n_missing,
  centred.n_ratings,
  centred.event_id,
  centred.rule_id
from centred
left join intermediate.alliance_level as level
  on centred.site_id = level.site_id
  and centred.therapist_id = level.therapist_id
  and centred.rater = level.rater
  and centred.instrument = level.instrument
  and centred.version = level.version
  and centred.occasion = level.occasion
  and centred.scale = level.scale
