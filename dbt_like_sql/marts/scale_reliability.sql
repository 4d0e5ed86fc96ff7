-- marts.scale_reliability: Cronbach's alpha of each scale at each site
-- grain: site_id, instrument, version, rater, scale
-- scope: site
-- source: Cronbach 1951, Psychometrika 16, 297-334.
-- alpha = k / (k - 1) (1 - sum of the item variances / variance of the sum), variances with n - 1. One form per client (the
-- first), so that persons are counted and not forms; only forms with every item of the scale (listwise). Empty with fewer
-- than two clients, fewer than two items, or no variance.

with form as (
  select site_id, event_id, client_id, instrument, version, rater
  from intermediate.questionnaire
  qualify row_number() over (
    partition by site_id, client_id, instrument, version, rater
    order by occasion <> 'intake', session_number, study_day, event_id
  ) = 1
),

complete as (
  select form.site_id, form.event_id, form.client_id, form.instrument, form.version, form.rater, score.scale, score.n_items, score.item_mean
  from form
  inner join marts.instrument_score as score using (site_id, event_id)
  where score.n_missing = 0 and score.n_items > 1
),

item as (
  select
    complete.site_id,
    complete.instrument,
    complete.version,
    complete.rater,
    complete.scale,
    answer.item,
    case when count(*) > 1
      then (sum(answer.keyed * answer.keyed)::double - sum(answer.keyed)::double ** 2 / count(*)) / (count(*) - 1)
    end as item_variance
  from complete
  inner join intermediate.answer using (site_id, event_id)
  inner join study.form_scale_item as member
    on complete.instrument = member.instrument
    and complete.version = member.version
    and complete.scale = member.scale
    and answer.item = member.item
  group by complete.site_id, complete.instrument, complete.version, complete.rater, complete.scale, answer.item
),

items as (
  select site_id, instrument, version, rater, scale, sum(item_variance order by item) as item_variances
  from item
  group by site_id, instrument, version, rater, scale
),

scale as (
  select
    site_id,
    instrument,
    version,
    rater,
    scale,
    max(n_items) as n_items,
    count(*)::integer as n_clients,
    avg(item_mean order by client_id, event_id) as mean,
    stddev_samp(item_mean order by client_id, event_id) as sd
  from complete
  group by site_id, instrument, version, rater, scale
)

select
  scale.site_id,
  scale.instrument,
  scale.version,
  scale.rater,
  scale.scale,
  scale.n_items,
  scale.n_clients,
  scale.mean,
  scale.sd,
  case when scale.sd > 0
    then scale.n_items / (scale.n_items - 1) * (1 - items.item_variances / (scale.sd * scale.n_items) ** 2)
  end as alpha
from scale
inner join items using (site_id, instrument, version, rater, scale)
