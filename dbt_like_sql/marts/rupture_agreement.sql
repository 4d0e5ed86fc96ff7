-- marts.rupture_agreement: do two rules, or one rule in two sources, point at the same sessions?
-- grain: site_id, rule_id, source, other_rule_id, other_source
-- scope: study
-- source: Cohen 1960, Educational and Psychological Measurement 20, 37-46 (kappa).
-- Over sessions of the site that both could judge: a drop needs a rating before, a sudden drop one in the session numbered one
-- lower, a chart a rating, each a course of enough ratings; a report a held session where that source reports at all; markers
-- a coded session; codes an interview. With several forms of a source one of them is enough. Each pair stands once, and
-- each rule beside itself: there `n_sessions` and `n_first` give the rate of ruptures.
-- kappa = (observed - expected agreement) / (1 - expected agreement), empty where both say always the same.

with rule as (
  select * from study.rupture_rule
),

enough as (
  select max(min_ratings) as most from study.rupture_rule
),

-- what a row of a session says of what can be judged
word as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    source,
    basis,
    coalesce(instrument, '') as form,
    coalesce(least(n_ratings, enough.most), 0) as n_ratings,
    previous_session_number is not null as has_previous,
    coalesce(session_gap = 1, false) as is_next,
    within_change is not null as has_within,
    between_change is not null as has_between,
    rule_ids
  from marts.rupture_session
  cross join enough
),

-- a site has few different ones: a number stands for each
entry as (
  select
    *,
    row_number() over (
      partition by site_id
      order by source, basis, form, n_ratings, has_previous, is_next, has_within, has_between, rule_ids
    ) as number
  from (
    select distinct site_id, source, basis, form, n_ratings, has_previous, is_next, has_within, has_between, rule_ids
    from word
  ) as different
),

said as (
  select word.site_id, list_sort(list(entry.number)) as numbers
  from word
  inner join entry using (site_id, source, basis, form, n_ratings, has_previous, is_next, has_within, has_between, rule_ids)
  group by word.site_id, word.client_id, word.episode_id, word.session_number
),

-- sessions of which the same is said
kind as (
  select site_id, numbers, count(*) as n, row_number() over (partition by site_id order by numbers) as kind
  from said
  group by site_id, numbers
),

part as (
  select site_id, kind, n, unnest(numbers) as number
  from kind
),

judged as (
  select
    part.site_id,
    part.kind,
    part.n,
    rule.rule_id,
    entry.source,
    bool_or(list_contains(string_split(entry.rule_ids, ' '), rule.rule_id)) as is_rupture
  from part
  inner join entry using (site_id, number)
  inner join rule
    on case rule.family
      when 'form' then entry.basis = 'form' and entry.form = rule.report_form
      when 'report' then entry.basis = 'event'
      when 'recognised' then entry.basis = 'recognition'
      when 'marker' then entry.basis = 'coding'
      when 'code' then entry.basis = 'interview'
      else entry.basis = 'rating'
        and entry.n_ratings >= rule.min_ratings
        and case rule.family
          when 'drop' then entry.has_previous
          when 'sudden' then entry.is_next
          when 'within' then entry.has_within
          when 'between' then entry.has_between
          else true
        end
    end
  group by part.site_id, part.kind, part.n, rule.rule_id, entry.source
),

counted as (
  select
    first.site_id,
    first.rule_id,
    first.source,
    other.rule_id as other_rule_id,
    other.source as other_source,
    sum(first.n)::bigint as n_sessions,
    coalesce(sum(first.n) filter (where first.is_rupture), 0)::bigint as n_first,
    coalesce(sum(first.n) filter (where other.is_rupture), 0)::bigint as n_other,
    coalesce(sum(first.n) filter (where first.is_rupture and other.is_rupture), 0)::bigint as n_both
  from judged as first
  inner join judged as other
    on first.site_id = other.site_id
    and first.kind = other.kind
    and (first.rule_id || ' ' || first.source) <= (other.rule_id || ' ' || other.source)
  group by first.site_id, first.rule_id, first.source, other.rule_id, other.source
),

chance as (
  select
    *,
    (n_both + n_sessions - n_first - n_other + n_both) / n_sessions as observed,
    (n_first * n_other + (n_sessions - n_first) * (n_sessions - n_other)) / (n_sessions::double * n_sessions) as expected
  from counted
)

select
  site_id,
  rule_id,
  source,
  other_rule_id,
  other_source,
  n_sessions,
  n_both,
  n_first - n_both as n_first_only,
  n_other - n_both as n_other_only,
  n_sessions - n_first - n_other + n_both as n_neither,
  observed as agreement,
  case when expected < 1 then (observed - expected) / (1 - expected) end as kappa
from chance
