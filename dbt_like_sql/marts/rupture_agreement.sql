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

-- what a row of a session says, in few different words
word as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    concat_ws(
      '|',
      source,
      basis,
      coalesce(instrument, ''),
      coalesce(least(n_ratings, enough.most), 0)::varchar,
      (previous_session_number is not null)::varchar,
      coalesce(session_gap = 1, false)::varchar,
      (within_change is not null)::varchar,
      (between_change is not null)::varchar
    ) as situation,
    rule_ids
  from marts.rupture_session
  cross join enough
),

said as (
  select
    site_id,
    string_agg(situation || '|' || rule_ids, ';' order by situation, rule_ids) as words
  from word
  group by site_id, client_id, episode_id, session_number
),

kind as (
  select site_id, words, count(*) as n
  from said
  group by site_id, words
),

entry as (
  select site_id, words, n, string_split(unnest(string_split(words, ';')), '|') as part
  from kind
),

judged as (
  select
    entry.site_id,
    entry.words,
    entry.n,
    rule.rule_id,
    entry.part[1] as source,
    bool_or(list_contains(string_split(entry.part[9], ' '), rule.rule_id)) as is_rupture
  from entry
  inner join rule
    on case rule.family
      when 'form' then entry.part[2] = 'form' and entry.part[3] = rule.report_form
      when 'report' then entry.part[2] = 'event'
      when 'recognised' then entry.part[2] = 'recognition'
      when 'marker' then entry.part[2] = 'coding'
      when 'code' then entry.part[2] = 'interview'
      else entry.part[2] = 'rating'
        and entry.part[4]::integer >= rule.min_ratings
        and case rule.family
          when 'drop' then entry.part[5] = 'true'
          when 'sudden' then entry.part[6] = 'true'
          when 'within' then entry.part[7] = 'true'
          when 'between' then entry.part[8] = 'true'
          else true
        end
    end
  group by entry.site_id, entry.words, entry.n, rule.rule_id, entry.part[1]
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
    and first.words = other.words
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
