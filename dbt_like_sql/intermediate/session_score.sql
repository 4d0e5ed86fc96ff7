-- intermediate.session_score: one score per session and rule for sudden gains
-- grain: site_id, client_id, episode_id, rule_id, instrument, version, session_number
-- scope: site

with rule as (
  select * from study.sudden_rule
),

score as (
  select site_id, client_id, episode_id, instrument, version, rater, occasion, session_number, score
  from marts.outcome_score
  where session_number is not null
  union all
  select site_id, client_id, episode_id, instrument, version, rater, occasion, session_number, score
  from marts.alliance_session
  where scale = 'total' and score is not null
)

select
  score.site_id,
  score.client_id,
  score.episode_id,
  rule.rule_id,
  score.instrument,
  score.version,
  score.session_number,
  score.score
from score
inner join rule
  on score.instrument = rule.instrument
  and score.version = rule.version
  and score.rater = rule.rater
  and score.occasion = rule.occasion
where score.session_number between coalesce(rule.first_session, 0) and coalesce(rule.last_session, score.session_number)
