-- marts.therapist_effect: mean of a therapist's clients, as it is and shrunken
-- grain: site_id, therapist_id, quantity, instrument, version, rater, occasion
-- scope: study
-- source: Raudenbush & Bryk 2002, Hierarchical Linear Models, chapter 3 (empirical Bayes) [M].
-- rules: `reml_therapist`: shrunken mean = overall mean + shrinkage (mean - overall mean), shrinkage = t / (t + c / n), with t and c the
--        variances between therapists and between their clients and the overall mean of the mixed model of all sites
--        (marts.variance_share, without a site), n clients. A mean of few clients says little; the shrunken one says so.
-- Empty where the model cannot be fitted. A therapist of several sites has a mean at each, by the clients there.

with between_therapists as (
  select * from marts.variance_share where site_id is null and rule_id = 'reml_therapist' and level = 'therapist'
),

between_clients as (
  select * from marts.variance_share where site_id is null and rule_id = 'reml_therapist' and level = 'client'
),

own as (
  select
    site_id,
    therapist_id,
    quantity,
    instrument,
    version,
    rater,
    occasion,
    count(*)::integer as n_clients,
    sum(n_values order by client_id, episode_id)::integer as n_values,
    avg(value order by client_id, episode_id) as mean,
    stddev_samp(value order by client_id, episode_id) as sd
  from intermediate.therapist_value
  group by site_id, therapist_id, quantity, instrument, version, rater, occasion
),

compared as (
  select
    own.*,
    therapist.intercept as overall_mean,
    therapist.variance / nullif(therapist.variance + client.variance / own.n_clients, 0) as shrinkage
  from own
  left join between_therapists as therapist
    on own.quantity = therapist.quantity
    and own.instrument = therapist.instrument
    and own.version = therapist.version
    and own.rater = therapist.rater
    and own.occasion is not distinct from therapist.occasion
  left join between_clients as client
    on own.quantity = client.quantity
    and own.instrument = client.instrument
    and own.version = client.version
    and own.rater = client.rater
    and own.occasion is not distinct from client.occasion
)

select
  site_id,
  therapist_id,
  quantity,
  instrument,
  version,
  rater,
  occasion,
  'reml_therapist' as rule_id,
  n_clients,
  n_values,
  mean,
  sd,
  overall_mean,
  shrinkage,
  overall_mean + shrinkage * (mean - overall_mean) as shrunken_mean
from compared
