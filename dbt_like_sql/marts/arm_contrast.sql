-- marts.arm_contrast: two arms after treatment, against each other
-- grain: instrument, version, rater, rule_id, arm, other_arm
-- scope: study
-- source: Hedges 1981, Journal of Educational Statistics 6, 107-128 (g with the exact J); Hedges & Olkin 1985 (its variance).
-- Clients with both scores of the rule and an arm in their enrolment, over all sites; each pair of arms once, in order of names.
-- difference = mean of `arm` - mean of `other_arm` of the scores after treatment, turned so that plus is better for `arm`;
-- d = difference / pooled SD (n1 + n2 - 2); g = d J(n1 + n2 - 2), variance 1 / n1 + 1 / n2 + g g / (2 (n1 + n2)); J as in
-- marts.site_outcome. Interval: 95 %. Only random allocation makes this an effect of treatment.

with score as (
  select
    outcome.instrument,
    outcome.version,
    outcome.rater,
    outcome.rule_id,
    client.arm,
    count(*)::integer as n,
    avg(outcome.post_score order by outcome.site_id, outcome.client_id, outcome.episode_id) as mean,
    stddev_samp(outcome.post_score order by outcome.site_id, outcome.client_id, outcome.episode_id) as sd
  from marts.outcome_client as outcome
  inner join marts.client as client using (site_id, client_id)
  where outcome.change is not null and client.arm is not null
  group by outcome.instrument, outcome.version, outcome.rater, outcome.rule_id, client.arm
),

pair as (
  select
    one.instrument,
    one.version,
    one.rater,
    one.rule_id,
    one.arm,
    other.arm as other_arm,
    one.n,
    other.n as n_other,
    one.mean,
    other.mean as mean_other,
    one.sd,
    other.sd as sd_other,
    rule.improvement_sign * (one.mean - other.mean) as difference,
    one.n + other.n - 2 as df
  from score as one
  inner join score as other
    on one.instrument = other.instrument
    and one.version = other.version
    and one.rater = other.rater
    and one.rule_id = other.rule_id
    and one.arm < other.arm
  inner join study.outcome_rule as rule
    on one.instrument = rule.instrument and one.version = rule.version and one.rule_id = rule.rule_id
),

sized as (
  select
    *,
    case when n > 1 and n_other > 1
      then difference / nullif(sqrt(((n - 1) * sd ** 2 + (n_other - 1) * sd_other ** 2) / df), 0)
    end as d,
    case when df > 1 then exp(lgamma(df / 2) - ln(sqrt(df / 2)) - lgamma((df - 1) / 2)) end as correction
  from pair
),

corrected as (
  select
    *,
    d * correction as g,
    1 / n + 1 / n_other + (d * correction) ** 2 / (2 * (n + n_other)) as g_variance
  from sized
)

select
  instrument,
  version,
  rater,
  rule_id,
  arm,
  other_arm,
  n,
  n_other,
  mean,
  mean_other,
  sd,
  sd_other,
  difference,
  d,
  g,
  g_variance,
  g - 1.959963984540054 * sqrt(g_variance) as low,
  g + 1.959963984540054 * sqrt(g_variance) as high
from corrected
