-- marts.alliance_session: alliance of a session as one rater saw it
-- grain: site_id, client_id, episode_id, session_number, rater, instrument, version, occasion, scale
-- scope: site
-- Where the same form was filled in twice for a session, the one recorded first counts (then the smaller event id);
-- `n_ratings` says how many there were.

with score as (
  select instrument_score.*
  from marts.instrument_score
  inner join study.form on instrument_score.instrument = form.instrument and instrument_score.version = form.version
  where form.domain = 'alliance' and session_number is not null
),

counted as (
  select
    *,
    count(*) over (
      partition by site_id, client_id, episode_id, session_number, rater, instrument, version, occasion, scale
    )::integer as n_ratings
  from score
  qualify row_number() over (
    partition by site_id, client_id, episode_id, session_number, rater, instrument, version, occasion, scale
    order by recorded_day, event_id
  ) = 1
)

select
  counted.site_id,
  counted.client_id,
  counted.therapist_id,
  counted.episode_id,
  counted.session_number,
  counted.study_day,
  counted.rater,
  counted.instrument,
  counted.version,
  counted.occasion,
  counted.scale,
  counted.score,
  counted.item_mean,
  counted.item_mean = form.answer_max as is_at_ceiling,
  counted.n_missing,
  counted.n_ratings,
  counted.event_id,
  counted.rule_id
from counted
inner join study.form on counted.instrument = form.instrument and counted.version = form.version
