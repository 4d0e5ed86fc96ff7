-- intermediate.scale_consistency: what the answers to a scale say of the scale, at each site
-- grain: site_id, instrument, version, rater, scale, rule_id
-- scope: site
-- python: scale_consistency
-- One form per client (the first), so that persons are counted and not forms. `complete`: forms with every item of the
-- scale (listwise); `pairwise`: all forms with an answer to it, each covariance over those who answered both items.

with form as (
  select site_id, event_id, client_id, instrument, version, rater
  from intermediate.questionnaire
  qualify row_number() over (
    partition by site_id, client_id, instrument, version, rater
    order by occasion <> 'intake', session_number, study_day, event_id
  ) = 1
),

scale as (
  select instrument, version, scale, n_items, items
  from study.form_scale
  where n_items > 1
),

answered as (
  select
    form.site_id,
    form.instrument,
    form.version,
    form.rater,
    form.client_id,
    scale.scale,
    scale.n_items,
    scale.items,
    list_position(scale.items, answer.item) - 1 as place,
    answer.keyed::double as answer,
    count(*) over (
      partition by form.site_id, form.instrument, form.version, form.rater, form.client_id, scale.scale
    ) as n_answered
  from form
  inner join intermediate.answer as answer on form.site_id = answer.site_id and form.event_id = answer.event_id
  inner join scale
    on form.instrument = scale.instrument
    and form.version = scale.version
    and list_contains(scale.items, answer.item)
),

ruled as (
  select *, unnest(case when n_answered = n_items then ['complete', 'pairwise'] else ['pairwise'] end) as rule_id
  from answered
),

numbered as (
  select
    *,
    dense_rank() over (
      partition by site_id, instrument, version, rater, scale, rule_id order by client_id
    ) - 1 as client
  from ruled
)

select
  site_id,
  instrument,
  version,
  rater,
  scale,
  rule_id,
  n_items,
  scale_consistency(
    items,
    list(client order by client, place),
    list(place order by client, place),
    list(answer order by client, place)
  ) as found
from numbered
group by site_id, instrument, version, rater, scale, rule_id, n_items, items
