-- intermediate.scale_consistency: what the answers to a scale say of the scale, at each site
-- grain: site_id, instrument, version, rater, scale, rule_id
-- scope: site
-- python: scale_consistency
-- One form per client (the first), so that persons are counted and not forms. `complete`: forms with every item of the
-- scale (listwise); `pairwise`: all forms with an answer to it, each covariance over those who answered both items.

with form as (
  select site_id, client_id, instrument, version, rater, items
  from intermediate.questionnaire
  qualify row_number() over (
    partition by site_id, client_id, instrument, version, rater
    order by occasion <> 'intake', session_number, study_day, event_id
  ) = 1
),

answered as (
  select
    form.site_id,
    form.client_id,
    form.instrument,
    form.version,
    form.rater,
    scale.scale,
    scale.n_items,
    scale.items,
    list_transform(
      scale.items,
      lambda item, place:
        case
          when scale.is_reversed[place] then (ends.answer_min + ends.answer_max)::double - form.items[item]
          else form.items[item]
        end
    ) as answers
  from form
  inner join study.form_scale as scale on form.instrument = scale.instrument and form.version = scale.version
  inner join study.form as ends on form.instrument = ends.instrument and form.version = ends.version
  where scale.n_items > 1
),

counted as (
  select *, len(list_filter(answers, lambda answer: answer is not null)) as n_answered
  from answered
),

ruled as (
  select *, unnest(case when n_answered = n_items then ['complete', 'pairwise'] else ['pairwise'] end) as rule_id
  from counted
  where n_answered > 0
)

select
  site_id,
  instrument,
  version,
  rater,
  scale,
  rule_id,
  n_items,
  scale_consistency(items, list(answers order by client_id)) as found
from ruled
group by site_id, instrument, version, rater, scale, rule_id, n_items, items
