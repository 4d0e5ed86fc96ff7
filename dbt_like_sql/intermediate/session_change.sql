-- intermediate.session_change: alliance rated before and after the same session, and after the session before
-- grain: site_id, client_id, episode_id, session_number, rater, instrument, version
-- scope: site
-- Totals of sessions that were rated beforehand, turned so that higher is better. `previous_post`: the last rating after an
-- earlier session.

with pre as (
  select * from intermediate.rupture_rating where occasion = 'pre_session'
),

post as (
  select * from intermediate.rupture_rating where occasion = 'post_session'
),

changed as (
  select
    pre.site_id,
    pre.client_id,
    pre.episode_id,
    pre.session_number,
    pre.rater,
    pre.instrument,
    pre.version,
    pre.improvement_sign,
    pre.therapist_id,
    pre.event_id as pre_event_id,
    post.event_id as post_event_id,
    pre.score as pre_score,
    post.score as post_score,
    course.n_ratings,
    course.own_sd,
    len(list_filter(course.sessions, lambda session: session < pre.session_number)) as n_earlier,
    course.sessions,
    course.scores
  from pre
  inner join intermediate.rating_course as course
    on pre.site_id = course.site_id
    and pre.client_id = course.client_id
    and pre.episode_id = course.episode_id
    and pre.rater = course.rater
    and pre.instrument = course.instrument
    and pre.version = course.version
    and course.occasion = 'post_session'
  left join post
    on pre.site_id = post.site_id
    and pre.client_id = post.client_id
    and pre.episode_id = post.episode_id
    and pre.session_number = post.session_number
    and pre.rater = post.rater
    and pre.instrument = post.instrument
    and pre.version = post.version
)

select
  * exclude (n_earlier, sessions, scores),
  -- place 0 is empty
  sessions[n_earlier] as previous_session_number,
  scores[n_earlier] as previous_post,
  post_score - pre_score as within_change,
  pre_score - scores[n_earlier] as between_change
from changed
