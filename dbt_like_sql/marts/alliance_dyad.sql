-- marts.alliance_dyad: course of the alliance of a client and a therapist, as one of them rated it
-- grain: site_id, client_id, episode_id, rater, instrument, version, occasion, scale
-- scope: study
-- source: early alliance, slopes: Fluckiger et al. 2018, Psychotherapy 55, 316-340 (use) [M]; MSSD: von Neumann et al. 1941.
-- One row per course: the ratings of an episode by one rater on one form, occasion and scale. What takes both raters stands in
-- marts.alliance_congruence. `therapist_id` is that of the last rating; `n_therapists` says if there were several.
--   early_s1, s2, s3        the rating of that session and no other one; empty if it was not given
--   early_s1_2, s1_3, s3_5  mean of the ratings there are of these sessions, with `n_`; `early_first` is the first rating
--                           up to session 3, of session `early_first_session`
--   slope, intercept        least squares on session number, two ratings at least; log_slope, log_intercept on ln(session + 1)
--   mssd                    mean squared difference of ratings of neighbouring session numbers (`n_adjacent`)
--   shape                   in words only: v or u if one or more ratings lie below both the first and the last by
--                           study.alliance.shape_change or more; else rising or falling if the line moves by as much; else stable
--   established             total only: the last rating of the sessions named in study.alliance is at or above `threshold` (item mean
--                           on the common range) and no rupture by `unless_rule` up to then is unrepaired. No cut-off was
--                           published: rule and value are a choice and stand in every row
--   first_work_session      first session with a code of therapeutic work (study.alliance), seen by whomever

with unrepaired as (
  select event.site_id, event.client_id, event.episode_id, event.source, event.instrument, event.version, event.occasion,
    count(*)::integer as n_unrepaired
  from marts.rupture_event as event
  inner join study.alliance as rule on event.rule_id = rule.unless_rule
  where event.status = 'unrepaired' and event.session_number <= rule.by_session
  group by event.site_id, event.client_id, event.episode_id, event.source, event.instrument, event.version, event.occasion
)

select
  course.site_id,
  course.client_id,
  therapist_id,
  course.episode_id,
  rater,
  course.instrument,
  course.version,
  course.occasion,
  scale,
  n_therapists,
  n_ratings,
  n_at_ceiling,
  first_session,
  last_session,
  first_score,
  last_score,
  mean,
  sd,
  early_s1,
  early_s2,
  early_s3,
  early_s1_2,
  n_s1_2,
  early_s1_3,
  n_s1_3,
  early_s3_5,
  n_s3_5,
  early_first,
  early_first_session,
  intercept,
  slope,
  slope_se,
  log_intercept,
  log_slope,
  mssd,
  n_adjacent,
  shape,
  case when established_by_ratings = 'established' and n_unrepaired > 0 then 'not_established' else established_by_ratings end
    as established,
  rule_id,
  threshold,
  unless_rule,
  n_early,
  last_early,
  last_early_session,
  coalesce(n_unrepaired, 0)::integer as n_unrepaired,
  first_established_session,
  first_work_session,
  established_after_work
from intermediate.alliance_course as course
left join unrepaired
  on course.site_id = unrepaired.site_id
  and course.client_id = unrepaired.client_id
  and course.episode_id = unrepaired.episode_id
  and course.rater = unrepaired.source
  and course.instrument = unrepaired.instrument
  and course.version = unrepaired.version
  and course.occasion = unrepaired.occasion
