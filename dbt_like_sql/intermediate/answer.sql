-- intermediate.answer: answers, keyed in the direction of the scale
-- grain: site_id, event_id, item
-- scope: site
-- A reversed item scores `min + max - answer`. Exact numbers, to the twelfth decimal.

with given as (
  select site_id, event_id, instrument, version, unnest(map_entries(items)) as entry
  from intermediate.questionnaire
),

form_item as (
  select * from study.form_item
)

select
  given.site_id,
  given.event_id,
  given.instrument,
  given.version,
  entry.key as item,
  case
    when form_item.is_reversed
      then (form_item.answer_min + form_item.answer_max - entry.value::decimal(18, 12))::decimal(18, 12)
    else entry.value::decimal(18, 12)
  end as keyed
from given
inner join form_item
  on given.instrument = form_item.instrument and given.version = form_item.version and entry.key = form_item.item
where entry.value is not null
