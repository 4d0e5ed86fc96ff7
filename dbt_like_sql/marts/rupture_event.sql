-- marts.rupture_event: sessions in which the alliance dropped markedly
-- grain: site_id, client_id, episode_id, session_number, rater, instrument, version, occasion, rule_id
-- scope: site
-- rules: `drop_own_sd_k<k>`: the total fell by at least k standard deviations (n - 1) of the client's own ratings
--        since the client's last available rating. One of many published operationalisations; see methods.md 2c,
--        own-SD family. k and the least number of ratings come from study.yaml and are stored in every row.
-- `session_gap` is 1 where no session without a rating lies between: larger gaps make a drop hard to date.

with rating as (
  select * from marts.alliance_session where scale = 'total' and score is not null
),

threshold as (
  select * from study.threshold
),

spread as (
  select
    site_id,
    client_id,
    episode_id,
    rater,
    instrument,
    version,
    occasion,
    count(*)::integer as n_ratings,
    -- in the order of the sessions, so that floating rounding is the same in every build
    stddev_samp(score order by session_number) as own_sd
  from rating
  group by site_id, client_id, episode_id, rater, instrument, version, occasion
),

step as (
  select
    *,
    lag(score) over series as previous_score,
    lag(session_number) over series as previous_session_number
  from rating
  window series as (
    partition by site_id, client_id, episode_id, rater, instrument, version, occasion
    order by session_number
  )
)

select
  step.site_id,
  step.client_id,
  step.therapist_id,
  step.episode_id,
  step.session_number,
  step.rater,
  step.instrument,
  step.version,
  step.occasion,
  'drop_own_sd_k' || threshold.rupture_drop_k as rule_id,
  step.rater as source,
  step.previous_session_number,
  (step.session_number - step.previous_session_number)::integer as session_gap,
  step.previous_score,
  step.score,
  step.previous_score - step.score as drop_size,
  spread.own_sd,
  threshold.rupture_drop_k::double * spread.own_sd as drop_threshold,
  spread.n_ratings,
  step.event_id
from step
inner join spread using (site_id, client_id, episode_id, rater, instrument, version, occasion)
cross join threshold
where spread.n_ratings >= threshold.rupture_min_ratings
  and spread.own_sd > 0
  and step.previous_score - step.score >= threshold.rupture_drop_k::double * spread.own_sd
