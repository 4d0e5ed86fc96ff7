-- quality.first_score: how each client scored on a form when treatment began
-- grain: site_id, client_id, instrument, version, rater, occasion
-- scope: site
-- One score per client, the first total within the sessions of `shift_sessions`: neither long courses nor the progress of
-- treatment make a difference between sites or times. As a part of the answer range: 0 the least answer to all items,
-- 1 the largest.

with threshold as (
  select * from study.threshold
),

score as (
  select
    score.*,
    (score.item_mean - form.answer_min::double) / (form.answer_max - form.answer_min)::double as part
  from marts.instrument_score as score
  inner join study.form as form on score.instrument = form.instrument and score.version = form.version
  cross join threshold
  where score.scale = 'total'
    and score.item_mean is not null
    and score.occasion not in ('end', 'follow_up')
    and coalesce(score.session_number, 0) <= threshold.shift_sessions
  qualify row_number() over (
    partition by score.site_id, score.client_id, score.instrument, score.version, score.rater, score.occasion
    order by score.session_number nulls first, score.event_id
  ) = 1
),

told as (
  select site_id, event_id, min(commit_seq) as commit_seq
  from log.fact
  where status = 'accepted'
  group by site_id, event_id
)

select
  score.site_id,
  score.client_id,
  score.instrument,
  score.version,
  score.rater,
  score.occasion,
  score.event_id,
  told.commit_seq,
  round(score.part, 6) as part
from score
inner join told using (site_id, event_id)
