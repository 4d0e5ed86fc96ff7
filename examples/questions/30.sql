-- 30. After sessions with a better alliance than usual for the client, are there fewer symptoms at the next session?
-- Reading: slope of the next outcome score (in the direction of health, distance from the client's own mean, scale points) on the
--   client's rating of the session before (distance from the own mean; and from the own line, which takes the common trend out), with
--   standard errors. Above zero says yes.
-- Caveats: the score is given before the session, the rating after the one before it, so that the order in time is right. Neighbouring
--   sessions only. Slopes on deviations from own means are biased in short series (Nickell): for a publication fit a model
--   (RI-CLPM) to these rows. Standard errors take sessions as independent.

with score as (
  select
    outcome.site_id,
    outcome.client_id,
    outcome.episode_id,
    outcome.instrument,
    outcome.session_number,
    outcome.improvement_sign * (
      outcome.score
      - avg(outcome.score) over (partition by outcome.site_id, outcome.client_id, outcome.episode_id, outcome.instrument)
    ) as health
  from marts.outcome_score as outcome
  where outcome.rater = 'client' and outcome.scale = 'total' and outcome.occasion = 'pre_session' and outcome.session_number is not null
),

followed as (
  select
    score.instrument as outcome,
    score.health,
    unnest([
      {'rating': 'within', 'value': alliance.within},
      {'rating': 'detrended', 'value': alliance.detrended}
    ]) as before
  from score
  inner join marts.alliance_session as alliance
    on score.site_id = alliance.site_id
    and score.client_id = alliance.client_id
    and score.episode_id = alliance.episode_id
    and score.session_number = alliance.session_number + 1
  where alliance.rater = 'client' and alliance.scale = 'total'
)

select
  outcome,
  before.rating as rating,
  count(*) as n,
  regr_slope(health, before.value) as slope,
  sqrt((regr_syy(health, before.value) / regr_sxx(health, before.value) - slope ** 2) / (count(*) - 2)) as se,
  corr(health, before.value) as r
from followed
where before.value is not null
group by outcome, rating
having count(*) > 3
order by outcome, rating desc
