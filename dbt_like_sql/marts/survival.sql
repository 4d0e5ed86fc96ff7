-- marts.survival: share of clients still in treatment by session (Kaplan & Meier)
-- grain: site_id, rule_id, session_number
-- scope: study
-- source: Kaplan & Meier 1958, Journal of the American Statistical Association 53, 457-481; Greenwood 1926.
-- `rule_id` is the definition of drop-out (columns of marts.dropout). Time is the number of the last session held; clients
-- who are not over, who completed, or of whom the definition says nothing leave the risk set there without an event.
-- S(t) = product of (1 - d / n); Greenwood se = S sqrt(sum of d / (n (n - d))); interval S -/+ 1.96 se within 0 and 1,
-- empty where nobody is left.

with defined as (
  select site_id, client_id, episode_id, coalesce(last_held_session, 0) as session_number, rule_id, is_dropout
  from (
    unpivot (
      select site_id, client_id, episode_id, last_held_session, missed_last, unilateral, not_improved, few_sessions, off_protocol
      from marts.dropout
    )
    on missed_last, unilateral, not_improved, few_sessions, off_protocol
    into name rule_id value is_dropout
  )
),

every as (
  select site_id, client_id, episode_id, coalesce(last_held_session, 0) as session_number, rule_id
  from marts.dropout
  cross join (select unnest(['missed_last', 'unilateral', 'not_improved', 'few_sessions', 'off_protocol']) as rule_id)
),

counted as (
  select
    every.site_id,
    every.rule_id,
    every.session_number,
    count(*)::integer as n_leaving,
    count(*) filter (where defined.is_dropout)::integer as n_event
  from every
  left join defined using (site_id, client_id, episode_id, rule_id)
  group by every.site_id, every.rule_id, every.session_number
),

at_risk as (
  select
    *,
    (sum(n_leaving) over (
      partition by site_id, rule_id order by session_number rows between current row and unbounded following
    ))::integer as n_risk
  from counted
),

product as (
  select
    *,
    -- ln 0 is avoided: from the session on where everybody at risk drops out, nobody is left
    sum(case when n_event < n_risk then ln(1 - n_event / n_risk) else 0 end) over so_far as log_survival,
    bool_or(n_event = n_risk) over so_far as is_nobody_left,
    sum(case when n_event < n_risk then n_event / (n_risk * (n_risk - n_event)) else 0 end) over so_far as greenwood
  from at_risk
  window so_far as (partition by site_id, rule_id order by session_number rows unbounded preceding)
),

estimated as (
  select
    *,
    case when is_nobody_left then 0 else exp(log_survival) end as survival,
    case when not is_nobody_left then exp(log_survival) * sqrt(greenwood) end as se
  from product
)

select
  site_id,
  rule_id,
  session_number,
  n_risk,
  n_event,
  n_leaving - n_event as n_censored,
  survival,
  se,
  -- greatest and least pass over an empty cell
  case when se is not null then greatest(0, survival - 1.959963984540054 * se) end as low,
  case when se is not null then least(1, survival + 1.959963984540054 * se) end as high,
  round(survival, 12) <= 0.5 and coalesce(round(lag(survival) over (partition by site_id, rule_id order by session_number), 12) > 0.5, true)
    as is_median
from estimated
