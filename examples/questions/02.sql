-- 2. Is the client's early rating a stronger predictor than the therapist's?
-- Reading: both correlations with the residual gain on the same clients (rated by both in sessions 1 or 2), and how the two raters
--   agree with each other (r_raters). z compares the two dependent correlations (Meng, Rosenthal & Rubin 1992); beyond 2 the
--   difference is more than chance.
-- Caveats: forms of client and therapist need not have the same items; a less reliable form correlates less with anything.

with direction as (
  select distinct instrument, version, improvement_sign from marts.outcome_score
),

client as (
  select
    outcome.instrument as outcome,
    own.early_s1_2 as by_client,
    other.early_s1_2 as by_therapist,
    outcome.residual_gain * direction.improvement_sign as gain
  from marts.alliance_dyad as own
  inner join marts.alliance_dyad as other using (site_id, client_id, episode_id, occasion, scale)
  inner join marts.outcome_client as outcome using (site_id, client_id, episode_id)
  inner join direction on outcome.instrument = direction.instrument and outcome.version = direction.version
  where own.rater = 'client' and other.rater = 'therapist' and scale = 'total'
    and outcome.rater = 'client' and outcome.rule_id = 'first_last'
),

related as (
  select
    outcome,
    count(*) as n,
    corr(by_client, gain) as r_client,
    corr(by_therapist, gain) as r_therapist,
    corr(by_client, by_therapist) as r_raters
  from client
  where by_client is not null and by_therapist is not null and gain is not null
  group by outcome
  having count(*) > 3
),

squared as (
  select
    *,
    (r_client ** 2 + r_therapist ** 2) / 2 as mean_square,
    least(1, (1 - r_raters) / (2 * (1 - (r_client ** 2 + r_therapist ** 2) / 2))) as f
  from related
)

select
  outcome,
  n,
  r_client,
  r_therapist,
  r_raters,
  (atanh(r_client) - atanh(r_therapist))
  * sqrt((n - 3) / (2 * (1 - r_raters) * (1 - f * mean_square) / (1 - mean_square))) as z
from squared
order by outcome
