-- intermediate.rating: ratings of the alliance, one for each session, rater, form, occasion and scale
-- grain: site_id, client_id, episode_id, session_number, rater, instrument, version, occasion, scale
-- scope: site
-- Where the same form was filled in twice for a session, the one recorded first counts (then the smaller event id).
-- `common_mean`: the item mean on the common range (study.alliance), higher is better. `exact_score` is the score to the
-- ninth decimal, so that sums are the same in every build.

with form as (
  select instrument, version, improvement_sign, answer_min, answer_max
  from study.form
  where domain = 'alliance'
),

completed as (
  select
    questionnaire.site_id,
    questionnaire.event_id,
    count(*) over (
      partition by site_id, client_id, episode_id, session_number, rater, questionnaire.instrument, questionnaire.version,
        occasion
    )::integer as n_ratings
  from intermediate.questionnaire
  inner join form on questionnaire.instrument = form.instrument and questionnaire.version = form.version
  where session_number is not null
  qualify row_number() over (
    partition by site_id, client_id, episode_id, session_number, rater, questionnaire.instrument, questionnaire.version,
      occasion
    order by recorded_day, event_id
  ) = 1
),

common as (
  select common_min, common_max from study.alliance
)

select
  score.site_id,
  score.client_id,
  coalesce(score.therapist_id, session.therapist_id) as therapist_id,
  score.episode_id,
  score.session_number,
  score.study_day,
  session.format,
  score.rater,
  score.instrument,
  score.version,
  score.occasion,
  score.scale,
  score.score,
  score.score::decimal(18, 9) as exact_score,
  score.item_mean,
  case
    when form.improvement_sign = 1
      then common_min + (score.item_mean - answer_min) / (answer_max - answer_min) * (common_max - common_min)
    else common_max - (score.item_mean - answer_min) / (answer_max - answer_min) * (common_max - common_min)
  end as common_mean,
  score.item_mean = form.answer_max as is_at_ceiling,
  score.n_missing,
  completed.n_ratings,
  score.event_id,
  score.rule_id
from marts.instrument_score as score
inner join completed using (site_id, event_id)
inner join form on score.instrument = form.instrument and score.version = form.version
left join marts.session
  on score.site_id = session.site_id
  and score.client_id = session.client_id
  and score.episode_id = session.episode_id
  and score.session_number = session.session_number
cross join common
