-- intermediate.early_outcome: early alliance of a client beside the outcome of the treatment
-- grain: site_id, client_id, episode_id, instrument, version, rater, rule_id
-- scope: study
-- `instrument`, `version` and `rater` are those of the alliance, `rule_id` the outcome rule behind drop-out in study.yaml.
-- Early is the mean of the ratings up to the landmark session; the second outcome score must be from after it.

with threshold as (
  select * from study.dropout
),

rating as (
  select site_id, client_id, episode_id, instrument, version, rater, session_number, occasion, score
  from marts.alliance_session
  where scale = 'total' and score is not null and session_number <= (select landmark from study.dropout)
),

early as (
  select site_id, client_id, episode_id, instrument, version, rater, avg(score order by session_number, occasion) as early
  from rating
  group by site_id, client_id, episode_id, instrument, version, rater
),

outcome as (
  select
    outcome_client.site_id,
    outcome_client.client_id,
    outcome_client.episode_id,
    outcome_client.rule_id,
    pre_score as pre,
    post_score as post,
    residual_gain
  from marts.outcome_client
  inner join threshold
    on outcome_client.rule_id = threshold.outcome_rule
    and outcome_client.instrument = threshold.outcome_instrument
    and outcome_client.version = threshold.outcome_version
    and outcome_client.rater = 'client'
  where change is not null and coalesce(post_session_number > threshold.landmark, true)
)

select
  outcome.site_id,
  outcome.client_id,
  outcome.episode_id,
  early.instrument,
  early.version,
  early.rater,
  outcome.rule_id,
  early.early,
  outcome.pre,
  outcome.post,
  outcome.residual_gain
from early
inner join outcome using (site_id, client_id, episode_id)
