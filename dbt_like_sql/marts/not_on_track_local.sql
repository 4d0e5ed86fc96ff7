-- marts.not_on_track_local: sessions at which a client is worse off than clients like him in this study
-- grain: site_id, client_id, episode_id, instrument, version, rater, session_number
-- scope: study
-- source: this project's own rule, after the concept of Lambert et al.; it is not the signal of the OQ-Analyst, whose tables
--         are proprietary, and must never be called so.
-- rules: `local_z<z>`: the change since the first score is less than mean - z SD of the others who began in the same third of
--        first scores, at the same session number. The client is left out of his own norm; with fewer others than study.yaml
--        asks for nothing is said. Equal first scores are in the same third. Figures move with every delivery.

with threshold as (
  select * from study.threshold
),

score as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    version,
    rater,
    measurement,
    session_number,
    improvement_sign,
    score,
    first_value(score) over (
      partition by site_id, client_id, episode_id, instrument, version, rater order by measurement
    ) as first_score
  from marts.outcome_score
  where scale = 'total'
),

first_score as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    version,
    rater,
    (
      1 + 3 * (rank() over (partition by instrument, version, rater order by first_score) - 1)
      // count(*) over (partition by instrument, version, rater)
    )::integer as first_third
  from score
  where measurement = 1
),

change as (
  select
    score.*,
    first_third,
    improvement_sign * (score - score.first_score) as improvement
  from score
  inner join first_score using (site_id, client_id, episode_id, instrument, version, rater)
  where session_number is not null and measurement > 1
  qualify row_number() over (
    partition by site_id, client_id, episode_id, instrument, version, rater, session_number order by measurement
  ) = 1
),

cell as (
  select
    instrument,
    version,
    rater,
    first_third,
    session_number,
    count(*) as n,
    sum(improvement order by site_id, client_id, episode_id) as total,
    sum(improvement ** 2 order by site_id, client_id, episode_id) as squares
  from change
  group by instrument, version, rater, first_third, session_number
),

others as (
  select
    change.*,
    (n - 1)::integer as n_others,
    (total - improvement) / nullif(n - 1, 0) as others_mean,
    case when n > 2
      then sqrt(greatest(0, (squares - improvement ** 2 - (total - improvement) ** 2 / (n - 1)) / (n - 2)))
    end as others_sd
  from change
  inner join cell using (instrument, version, rater, first_third, session_number)
)

select
  site_id,
  client_id,
  episode_id,
  instrument,
  version,
  rater,
  session_number,
  'local_z' || not_on_track_z as rule_id,
  first_third,
  improvement,
  n_others,
  others_mean,
  others_sd,
  case when n_others >= not_on_track_min then improvement < others_mean - not_on_track_z::double * others_sd end
    as is_not_on_track
from others
cross join threshold
