-- quality.finding: what was found about each site, with honest denominators
-- grain: site_id, code, subject
-- scope: site
-- outcome: `pass`, `warn` or `fail` where something was looked at; `not_applicable` where there was nothing to look at
-- (never 0 % or 100 % of nothing); `crashed` where a check could not be run.
-- `subject` says what a code is about: a field, a measure or an expectation.

with code as (
  select * from study.code
),

found as (
  select site_id, code, subject, n_violated, n_denominator, first_seen, last_seen, verdict from intermediate.found
  union all
  select site_id, code, subject, n_violated, n_denominator, null, null, verdict from checks.expectation
  union all
  select site_id, 'SITE_LATE', '', n_violated, n_denominator, null, null, null from checks.silence
)

select
  found.site_id,
  found.code,
  found.subject,
  code.scope,
  code.kahn,
  code.severity,
  case
    when found.verdict = 'crashed' then 'crashed'
    when found.n_denominator = 0 then 'not_applicable'
    when found.verdict is not null then found.verdict
    when found.n_violated = 0 or code.severity = 'info' then 'pass'
    when code.severity = 'error' then 'fail'
    else 'warn'
  end as outcome,
  found.n_violated,
  found.n_denominator,
  found.first_seen,
  found.last_seen
from found
inner join code using (code)
