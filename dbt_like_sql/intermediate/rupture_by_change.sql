-- intermediate.rupture_by_change: falls within a session and between two, where ratings were given before and after
-- grain: site_id, client_id, episode_id, session_number, rule_id, rater, instrument, version
-- scope: study
-- The spread is that of the ratings after sessions. Repaired by the next rise within a session; after a fall between two
-- sessions that may be the session that follows it.

with rule as (
  select *
  from study.rupture_rule
  where family in ('within', 'between')
),

measured as (
  select
    change.*,
    rule.rule_id,
    rule.family,
    rule.repair_window,
    rule.k,
    case rule.spread
      when 'own' then change.own_sd
      when 'mean' then coalesce(rule.reference_sd, reference.mean_own_sd)
      when 'stricter' then greatest(change.own_sd, coalesce(rule.reference_sd, reference.mean_own_sd))
    end as spread,
    -(case when rule.family = 'within' then change.within_change else change.between_change end) as fall,
    min(case when change.within_change > 0 then session_number end) over now_or_later as rise_now_or_later,
    min(case when change.within_change > 0 then session_number end) over later as rise_later,
    count(*) over later as n_followed
  from intermediate.session_change as change
  inner join rule on change.n_ratings >= rule.min_ratings
  left join marts.rupture_reference as reference
    on change.rater = reference.rater
    and change.instrument = reference.instrument
    and change.version = reference.version
    and reference.occasion = 'post_session'
  window
    now_or_later as (
      partition by site_id, client_id, episode_id, change.rater, change.instrument, change.version, rule.rule_id
      order by session_number
      rows between current row and rule.repair_window following
    ),
    later as (
      partition by site_id, client_id, episode_id, change.rater, change.instrument, change.version, rule.rule_id
      order by session_number
      rows between 1 following and rule.repair_window following
    )
)

select
  site_id,
  client_id,
  therapist_id,
  episode_id,
  session_number,
  rule_id,
  rater,
  instrument,
  version,
  case when family = 'within' then 'post_session' else 'pre_session' end as occasion,
  case when family = 'within' then session_number else previous_session_number end as previous_session_number,
  case when family = 'within' then 0 else session_number - previous_session_number end::integer as session_gap,
  improvement_sign * case when family = 'within' then pre_score else previous_post end as previous_score,
  improvement_sign * case when family = 'within' then post_score else pre_score end as score,
  fall as drop_size,
  spread,
  k * spread as threshold,
  n_ratings,
  repair_window,
  n_followed::integer as n_followed,
  case when family = 'within' then rise_later else rise_now_or_later end as repair_session_number,
  case when family = 'within' then post_event_id else pre_event_id end as event_id
from measured
where fall > 0 and round(fall - k * spread, 9) >= 0
