-- intermediate.early_rating: early alliance of a client, and whether the client dropped out later
-- grain: site_id, client_id, episode_id, instrument, version, rater, rule_id
-- scope: study
-- Early is the mean of the ratings up to the landmark session; only clients who held a session beyond it count, so that
-- nobody's rating comes from after the decision, and only those of whom the definition (`rule_id`) says yes or no.

with rating as (
  select site_id, client_id, episode_id, instrument, version, rater, session_number, occasion, score
  from marts.alliance_session
  where scale = 'total' and score is not null and session_number <= (select landmark from study.dropout)
),

early as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    version,
    rater,
    avg(score order by session_number, occasion) as score
  from rating
  group by site_id, client_id, episode_id, instrument, version, rater
),

beyond as (
  select * from marts.dropout where reached_landmark
),

defined as (
  select site_id, client_id, episode_id, 'missed_last' as rule_id, missed_last as is_dropout
  from beyond
  where missed_last is not null
  union all
  select site_id, client_id, episode_id, 'unilateral' as rule_id, unilateral as is_dropout
  from beyond
  where unilateral is not null
  union all
  select site_id, client_id, episode_id, 'not_improved' as rule_id, not_improved as is_dropout
  from beyond
  where not_improved is not null
  union all
  select site_id, client_id, episode_id, 'few_sessions' as rule_id, few_sessions as is_dropout
  from beyond
  where few_sessions is not null
  union all
  select site_id, client_id, episode_id, 'off_protocol' as rule_id, off_protocol as is_dropout
  from beyond
  where off_protocol is not null
)

select
  early.site_id,
  early.client_id,
  early.episode_id,
  early.instrument,
  early.version,
  early.rater,
  defined.rule_id,
  early.score,
  defined.is_dropout
from early
inner join defined using (site_id, client_id, episode_id)
