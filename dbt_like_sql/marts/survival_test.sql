-- marts.survival_test: do clients of all sites stay in treatment equally long?
-- grain: rule_id
-- scope: study
-- python: logrank
-- source: Mantel 1966, Cancer Chemotherapy Reports 50, 163-170; Peto & Peto 1972, Journal of the Royal Statistical Society A
--         135, 185-207.
-- Log-rank test over sites, on the same times and events as marts.survival: observed against expected drop-outs, with the
-- hypergeometric variances; chi-square with sites - 1 degrees of freedom. Clients of a site are taken for independent.

with course as (
  select site_id, client_id, episode_id, coalesce(last_held_session, 0) as session_number, missed_last, unilateral,
    not_improved, few_sessions, off_protocol
  from marts.dropout
),

every as (
  select site_id, client_id, episode_id, session_number, 'missed_last' as rule_id, missed_last as is_dropout
  from course
  union all
  select site_id, client_id, episode_id, session_number, 'unilateral', unilateral
  from course
  union all
  select site_id, client_id, episode_id, session_number, 'not_improved', not_improved
  from course
  union all
  select site_id, client_id, episode_id, session_number, 'few_sessions', few_sessions
  from course
  union all
  select site_id, client_id, episode_id, session_number, 'off_protocol', off_protocol
  from course
),

leaving as (
  select
    rule_id,
    site_id,
    session_number,
    count(*)::integer as n_leaving,
    count(*) filter (where is_dropout)::integer as n_event
  from every
  group by rule_id, site_id, session_number
),

tested as (
  select
    rule_id,
    logrank(
      list(site_id order by site_id, session_number),
      list(session_number order by site_id, session_number),
      list(n_leaving order by site_id, session_number),
      list(n_event order by site_id, session_number)
    ) as test
  from leaving
  group by rule_id
)

select
  rule_id,
  test.n_sites as n_sites,
  test.n_clients as n_clients,
  test.n_events as n_events,
  test.chi_square as chi_square,
  test.df as df,
  test.p as p
from tested
