-- marts.instrument_score: scores of every completed questionnaire, per scale
-- grain: site_id, event_id, scale
-- scope: site
-- source: the instrument files; `dyadlog instruments` shows items, keys, rules and how each of them is known.
-- rules: `prorate`: sum x items / answered items, if no more items are missing than the form allows. A form that is
--        scored by its mean divides by the answers given (GSI of BSI and SCL), CORE-OM by the same and times ten.
--        `subscale_mean_rounded`: a missing item takes the mean of the other items of its subscale, rounded to the
--        nearest whole number; the total adds the completed subscales (OQ-45.2 scoring sheet).
-- A claimed total must equal the score; claimed means may be rounded to two decimals (CORE-OM: one).
-- Sums are exact (decimal); each score is one division of exact numbers.

with questionnaire as (
  select * exclude (items) from intermediate.questionnaire
),

scale as (
  select * from study.form_scale
),

scale_item as (
  select * from study.form_scale_item
),

summed as (
  select
    answer.site_id,
    answer.event_id,
    scale_item.scale,
    count(*)::integer as n_answered,
    sum(answer.keyed) as keyed_sum
  from intermediate.answer
  inner join scale_item using (instrument, version, item)
  group by answer.site_id, answer.event_id, scale_item.scale
),

rated as (
  select
    questionnaire.*,
    scale.scale,
    scale.n_items,
    scale.missing_rule,
    scale.aggregate,
    scale.max_missing,
    coalesce(summed.n_answered, 0) as n_answered,
    scale.n_items - coalesce(summed.n_answered, 0) as n_missing,
    summed.keyed_sum
  from questionnaire
  inner join scale on questionnaire.instrument = scale.instrument and questionnaire.version = scale.version
  left join summed
    on questionnaire.site_id = summed.site_id
    and questionnaire.event_id = summed.event_id
    and scale.scale = summed.scale
),

filled as (
  select
    *,
    keyed_sum + n_missing * round(keyed_sum / nullif(n_answered, 0))::integer as filled_sum
  from rated
),

filled_total as (
  select site_id, event_id, sum(filled_sum) as filled_sum, bool_and(n_missing <= max_missing and n_answered > 0) as is_complete
  from filled
  where scale <> 'total' and missing_rule = 'subscale_mean_rounded'
  group by site_id, event_id
)

select
  filled.site_id,
  filled.event_id,
  filled.client_id,
  filled.therapist_id,
  filled.episode_id,
  filled.session_number,
  filled.study_day,
  filled.recorded_day,
  filled.instrument,
  filled.version,
  filled.rater,
  filled.occasion,
  filled.scale,
  case
    when filled.n_missing > filled.max_missing or filled.n_answered = 0 then null
    when filled.aggregate = 'mean' then filled.keyed_sum / filled.n_answered
    when filled.aggregate = 'mean_x10' then filled.keyed_sum * 10 / filled.n_answered
    when filled.n_missing = 0 then filled.keyed_sum::double
    when filled.missing_rule = 'prorate' then filled.keyed_sum * filled.n_items / filled.n_answered
    when filled.scale <> 'total' then filled.filled_sum::double
    when filled_total.is_complete then filled_total.filled_sum::double
  end as score,
  case
    when filled.n_missing <= filled.max_missing then filled.keyed_sum / nullif(filled.n_answered, 0)
  end as item_mean,
  filled.n_items,
  filled.n_missing,
  filled.missing_rule as rule_id,
  case when filled.scale = 'total' then filled.claimed_total::double end as claimed_total,
  case
    when filled.scale = 'total' and filled.n_missing = 0
      then case filled.aggregate
        when 'mean' then abs(filled.claimed_total * filled.n_items - filled.keyed_sum) <= filled.n_items * 0.005
        when 'mean_x10' then abs(filled.claimed_total * filled.n_items - filled.keyed_sum * 10) <= filled.n_items * 0.05
        else filled.claimed_total = filled.keyed_sum
      end
  end as claim_agrees
from filled
left join filled_total using (site_id, event_id)
