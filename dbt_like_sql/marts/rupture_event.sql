-- marts.rupture_event: sessions in rupture, by rule and source, and whether it was repaired
-- grain: site_id, client_id, episode_id, session_number, rule_id, source, instrument, version, occasion
-- scope: study
-- source: schemas/ruptures.yaml names one for each rule, with its status: [V] checked, [M] from memory of the literature, or of this
--         project. Rules with [M] figures have names that say what they do ("Strauss-type"), not their author's.
-- No rule is the right one: on the same 1,157 ratings they find 13 to 216 ruptures. Never add rows of two rules or sources.
-- Scores in `score` and `previous_score` are as rated; `drop_size` and `threshold` are positive where the alliance got worse.
--   drop      fall since the last rating there is, at least k x spread; the largest `session_gap` is for the analyst to choose
--   chart     rating below mean - k x sigma of the course, sigma = mean moving range / d2 or SD / c4(n); `drop_size` is mean - rating
--   sudden    fall between neighbouring session numbers of at least so many points and so many per cent
--   within    fall from before to after the session; between: from after the last rated session to before this one
--   reports, markers, codes: `intensity` is what was reported, or the greatest significance of a marker
-- Repaired: within `repair_window` further ratings (reports, codings, interviews) one is back at `repair_level` (drop, sudden: the
-- level before less a share of the threshold; chart: the mean; within, between: a rise within a session; others: a resolution).
-- Censored: so many did not follow, since therapy ended or ratings stopped; that is not unrepaired.

with found as (
  select
    site_id,
    client_id,
    therapist_id,
    episode_id,
    session_number,
    rule_id,
    rater as source,
    'rating' as basis,
    instrument,
    version,
    occasion,
    previous_session_number,
    session_gap,
    previous_score,
    score,
    drop_size,
    spread,
    threshold,
    n_ratings,
    repair_level,
    null::double as intensity,
    repair_window,
    n_followed,
    repair_session_number,
    event_id
  from intermediate.rupture_by_rating
  union all
  select
    site_id,
    client_id,
    therapist_id,
    episode_id,
    session_number,
    rule_id,
    rater as source,
    'rating' as basis,
    instrument,
    version,
    occasion,
    previous_session_number,
    session_gap,
    previous_score,
    score,
    drop_size,
    spread,
    threshold,
    n_ratings,
    null as repair_level,
    null as intensity,
    repair_window,
    n_followed,
    repair_session_number,
    event_id
  from intermediate.rupture_by_change
  union all
  select
    site_id,
    client_id,
    therapist_id,
    episode_id,
    session_number,
    rule_id,
    source,
    basis,
    instrument,
    version,
    occasion,
    previous_session_number,
    session_gap,
    null as previous_score,
    null as score,
    null as drop_size,
    null as spread,
    null as threshold,
    null as n_ratings,
    null as repair_level,
    intensity,
    repair_window,
    n_followed,
    repair_session_number,
    event_id
  from intermediate.rupture_by_report
)

select
  found.site_id,
  found.client_id,
  found.therapist_id,
  found.episode_id,
  found.session_number,
  found.rule_id,
  found.source,
  found.basis,
  found.instrument,
  found.version,
  found.occasion,
  found.previous_session_number,
  found.session_gap,
  found.previous_score,
  found.score,
  found.drop_size,
  found.spread,
  found.threshold,
  found.n_ratings,
  found.intensity,
  found.repair_level,
  found.repair_window,
  found.n_followed,
  case
    when found.repair_session_number is not null then 'repaired'
    when found.n_followed < found.repair_window then 'censored'
    else 'unrepaired'
  end as status,
  found.repair_session_number,
  (found.repair_session_number - found.session_number)::integer as sessions_to_repair,
  rule.status as rule_status,
  found.event_id
from found
inner join study.rupture_rule as rule on found.rule_id = rule.rule_id
