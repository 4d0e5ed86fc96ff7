-- marts.pooled_outcome: effects pooled over sites
-- grain: instrument, version, rater, rule_id, effect, method
-- scope: study
-- python: reml_tau2
-- source: DerSimonian & Laird 1986, Controlled Clinical Trials 7, 177-188; Viechtbauer 2005, Journal of Educational and
--         Behavioral Statistics 30, 261-293 (REML).
-- `effect`: change with treatment (`smcr`, `smcc` of marts.site_outcome; plus is better), difference of early ratings between
-- drop-outs and stayers (`early_dropout_g`), early rating with outcome (`early_outcome_z`, Fisher's z: tanh turns it into r).
-- Inverse-variance weights over sites whose effect can be computed. `fixed`: w = 1 / v; `dersimonian_laird`: w = 1 / (v + tau2),
-- tau2 = max(0, (Q - (k - 1)) / (sum w - sum w w / sum w)), Q = sum w (effect - fixed estimate) squared. `reml`: tau2 by
-- restricted maximum likelihood, Fisher scoring in Python to 1e-12 (assets/warehouse/steps.py). Intervals: 95 %.
-- i2: 100 (Q - (k - 1)) / Q; for `reml` 100 tau2 / (tau2 + s2), s2 = (k - 1) sum w / (sum w squared - sum w w), w = 1 / v.

with site as (
  select site_id, instrument, version, rater, rule_id, 'smcr' as effect, smcr as value, smcr_variance as variance
  from marts.site_outcome
  union all
  select site_id, instrument, version, rater, rule_id, 'smcc', smcc, smcc_variance
  from marts.site_outcome
  union all
  select site_id, instrument, version, rater, rule_id, 'early_dropout_g', g, g_variance
  from marts.early_alliance_dropout
  union all
  select site_id, instrument, version, rater, rule_id, 'early_outcome_z', fisher_z, fisher_z_variance
  from marts.early_alliance_outcome
),

usable as (
  select * from site where value is not null and variance > 0
),

fixed as (
  select
    instrument,
    version,
    rater,
    rule_id,
    effect,
    count(*)::integer as n_sites,
    sum(1 / variance order by site_id) as weight,
    sum(1 / variance ** 2 order by site_id) as squared_weight,
    sum(value / variance order by site_id) / sum(1 / variance order by site_id) as estimate,
    reml_tau2(list(value order by site_id), list(variance order by site_id)) as reml_tau2
  from usable
  group by instrument, version, rater, rule_id, effect
),

heterogeneous as (
  select
    usable.instrument,
    usable.version,
    usable.rater,
    usable.rule_id,
    usable.effect,
    sum((usable.value - fixed.estimate) ** 2 / usable.variance order by usable.site_id) as q
  from usable
  inner join fixed using (instrument, version, rater, rule_id, effect)
  group by usable.instrument, usable.version, usable.rater, usable.rule_id, usable.effect
),

between_sites as (
  select
    fixed.instrument,
    fixed.version,
    fixed.rater,
    fixed.rule_id,
    fixed.effect,
    'dersimonian_laird' as method,
    case when n_sites > 1 then greatest(0, (q - (n_sites - 1)) / (weight - squared_weight / weight)) else 0 end as tau2
  from fixed
  inner join heterogeneous using (instrument, version, rater, rule_id, effect)
  union all
  select instrument, version, rater, rule_id, effect, 'reml', reml_tau2
  from fixed
),

random as (
  select
    usable.instrument,
    usable.version,
    usable.rater,
    usable.rule_id,
    usable.effect,
    between_sites.method,
    between_sites.tau2,
    sum(1 / (usable.variance + tau2) order by usable.site_id) as weight,
    sum(usable.value / (usable.variance + tau2) order by usable.site_id) as weighted
  from usable
  inner join between_sites using (instrument, version, rater, rule_id, effect)
  group by usable.instrument, usable.version, usable.rater, usable.rule_id, usable.effect, between_sites.method, between_sites.tau2
),

estimated as (
  select instrument, version, rater, rule_id, effect, 'fixed' as method, estimate, sqrt(1 / weight) as se, 0::double as tau2
  from fixed
  union all
  select instrument, version, rater, rule_id, effect, method, weighted / weight, sqrt(1 / weight), tau2
  from random
),

pooled as (
  select
    estimated.*,
    fixed.n_sites,
    fixed.weight,
    fixed.squared_weight,
    heterogeneous.q
  from estimated
  inner join fixed using (instrument, version, rater, rule_id, effect)
  inner join heterogeneous using (instrument, version, rater, rule_id, effect)
)

select
  instrument,
  version,
  rater,
  rule_id,
  effect,
  method,
  n_sites,
  estimate,
  se,
  estimate - 1.959963984540054 * se as low,
  estimate + 1.959963984540054 * se as high,
  tau2,
  q,
  case
    when method = 'reml' and n_sites > 1
      then 100 * tau2 / (tau2 + (n_sites - 1) * weight / (weight ** 2 - squared_weight))
    when q > 0 then greatest(0, 100 * (q - (n_sites - 1)) / q)
  end as i2
from pooled
