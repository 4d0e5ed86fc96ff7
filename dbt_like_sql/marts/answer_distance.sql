-- marts.answer_distance: how far the answers of a form are from those of the other forms of the site
-- grain: site_id, event_id
-- scope: site
-- python: answer_distances
-- source: Mahalanobis 1936, Proceedings of the National Institute of Sciences of India 2, 49-55; Conijn et al. 2019: in routine
--         measurement it goes with severity, so it is shown and drops nothing.
-- Squared distance of the raw answers from their means, by the covariances of the items, over all forms of a site, instrument,
-- version, rater and occasion (`n_forms`; every session counts). Covariances over the forms that have both answers; a missing
-- answer lies at the mean, so that a form with many of them is near. Without carelessness and with answers like a normal
-- distribution it is a chi-square of `n_items` degrees of freedom. Empty where items determine each other or forms are no more
-- than items.

with filled as (
  select
    questionnaire.site_id,
    questionnaire.event_id,
    questionnaire.client_id,
    questionnaire.instrument,
    questionnaire.version,
    questionnaire.rater,
    questionnaire.occasion,
    list_transform(form.items, lambda item: questionnaire.items[item]) as answers
  from intermediate.questionnaire as questionnaire
  inner join study.form on questionnaire.instrument = form.instrument and questionnaire.version = form.version
  where len(form.items) > 1
),

measured as (
  select
    site_id,
    instrument,
    version,
    rater,
    occasion,
    count(*)::integer as n_forms,
    list(event_id order by event_id) as event_ids,
    list(client_id order by event_id) as client_ids,
    list(len(answers) order by event_id) as sizes,
    answer_distances(list(answers order by event_id)) as distances
  from filled
  group by site_id, instrument, version, rater, occasion
)

select
  site_id,
  unnest(event_ids) as event_id,
  unnest(client_ids) as client_id,
  instrument,
  version,
  rater,
  occasion,
  unnest(sizes)::integer as n_items,
  n_forms,
  unnest(distances) as distance
from measured
