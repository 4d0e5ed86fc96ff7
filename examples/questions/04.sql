-- 4. Does this hold whatever the treatment?
-- Reading: for each treatment approach the correlation of the client's and the therapist's early rating (sessions 1 and 2) with the
--   residual gain, with the 95 % interval of the first, and the share of unilateral drop-outs below and above the median rating.
--   Intervals that overlap widely say that nothing speaks for a difference; they do not say that there is none.
-- Caveats: as for questions 1 to 3. Approaches are not assigned by chance.

with direction as (
  select distinct instrument, version, improvement_sign from marts.outcome_score
),

client as (
  select
    coalesce(client.treatment_modality, 'not reported') as treatment_modality,
    outcome.instrument as outcome,
    own.early_s1_2 as by_client,
    other.early_s1_2 as by_therapist,
    outcome.residual_gain * direction.improvement_sign as gain,
    case when course.reached_landmark then course.unilateral end as dropped,
    own.early_s1_2 < median(own.early_s1_2) over (partition by own.instrument, outcome.instrument) as is_low
  from marts.client
  inner join marts.alliance_dyad as own using (site_id, client_id)
  left join marts.alliance_dyad as other
    on own.site_id = other.site_id and own.client_id = other.client_id and own.episode_id = other.episode_id
    and own.occasion = other.occasion and own.scale = other.scale and other.rater = 'therapist'
  left join marts.dropout as course
    on own.site_id = course.site_id and own.client_id = course.client_id and own.episode_id = course.episode_id
  inner join marts.outcome_client as outcome
    on own.site_id = outcome.site_id and own.client_id = outcome.client_id and own.episode_id = outcome.episode_id
  inner join direction on outcome.instrument = direction.instrument and outcome.version = direction.version
  where own.rater = 'client' and own.scale = 'total' and outcome.rater = 'client' and outcome.rule_id = 'first_last'
),

related as (
  select
    outcome,
    treatment_modality,
    count(*) filter (where by_client is not null and gain is not null) as n,
    case when n > 3 then corr(by_client, gain) end as r_client,
    case when n > 3 then corr(by_therapist, gain) end as r_therapist,
    avg(dropped::integer) filter (where is_low) as dropped_low,
    avg(dropped::integer) filter (where not is_low) as dropped_high
  from client
  group by outcome, treatment_modality
)

select
  outcome,
  treatment_modality,
  n,
  r_client,
  case when abs(r_client) < 1 then tanh(atanh(r_client) - 1.96 / sqrt(n - 3)) end as low,
  case when abs(r_client) < 1 then tanh(atanh(r_client) + 1.96 / sqrt(n - 3)) end as high,
  r_therapist,
  dropped_low,
  dropped_high
from related
order by outcome, treatment_modality
