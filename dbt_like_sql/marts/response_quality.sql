-- marts.response_quality: how a questionnaire was filled in
-- grain: site_id, event_id
-- scope: site
-- source: Conijn et al. 2019 (3,483 outpatients): such signs are confounded with severity in routine measurement, and
--         careless answers change the statistics of a scale little. They are shown and drop nothing.
-- Runs are counted in raw answers (before reversed items are turned) in the order of presentation; a missing answer ends
-- a run and equals nothing. `mean_run` is items / runs, `answer_sd` the SD (n - 1) over the answers of the form.
-- `copies_previous` compares with the client's form before this one (same form, rater and occasion), missing answers
-- included. `timing` goes by study days: pre-session forms belong to the day of the session or the one before, the others
-- to the day of the session or the two after.

with filled as (
  select
    questionnaire.*,
    form.long_run,
    list_transform(form.items, lambda item: questionnaire.items[item]) as answers
  from intermediate.questionnaire
  inner join study.form on questionnaire.instrument = form.instrument and questionnaire.version = form.version
),

started as (
  select
    *,
    list_filter(
      range(1, len(answers) + 1),
      lambda place: place = 1 or coalesce(answers[place] <> answers[place - 1], true)
    ) as starts
  from filled
),

measured as (
  select
    *,
    list_max(
      list_transform(range(1, len(starts) + 1), lambda nth: coalesce(starts[nth + 1], len(answers) + 1) - starts[nth])
    ) as longest_run,
    len(answers) / len(starts) as mean_run,
    list_stddev_samp(list_filter(answers, lambda answer: answer is not null)) as answer_sd,
    lag(answers) over (
      partition by site_id, client_id, episode_id, instrument, version, rater, occasion
      order by session_number, study_day, event_id
    ) as previous_answers
  from started
),

session as (
  select site_id, client_id, episode_id, session_number, study_day as session_day from marts.session
)

select
  measured.site_id,
  measured.event_id,
  measured.client_id,
  measured.episode_id,
  measured.session_number,
  measured.instrument,
  measured.version,
  measured.rater,
  measured.occasion,
  measured.longest_run::integer as longest_run,
  measured.mean_run,
  measured.answer_sd,
  measured.longest_run >= measured.long_run as is_long_run,
  measured.answers = measured.previous_answers as copies_previous,
  measured.seconds / len(measured.answers) as seconds_per_item,
  (measured.study_day - session.session_day)::integer as days_from_session,
  case
    when measured.study_day - session.session_day is null then null
    when measured.occasion = 'pre_session' and measured.study_day - session.session_day between -1 and 0 then 'on_time'
    when measured.occasion = 'post_session' and measured.study_day - session.session_day between 0 and 2 then 'on_time'
    when measured.occasion not in ('pre_session', 'post_session') then null
    when measured.study_day < session.session_day then 'early'
    else 'late'
  end as timing
from measured
left join session using (site_id, client_id, episode_id, session_number)
