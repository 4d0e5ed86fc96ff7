-- 29. Who dropped out, under each definition, and how far do the definitions agree?
-- Reading: one row per definition: courses it can judge, drop-outs, share; then how many of its drop-outs each other definition also
--   calls so. In 2,977 clients of a published study fewer than 1 % met the first three at once.
-- Caveats: courses that are not over are not judged. A definition that needs figures the study has not (off_protocol) judges nobody.

with said as (
  select
    course.*,
    unnest([
      {'definition': 'missed_last', 'dropped': missed_last},
      {'definition': 'unilateral', 'dropped': unilateral},
      {'definition': 'not_improved', 'dropped': not_improved},
      {'definition': 'few_sessions', 'dropped': few_sessions},
      {'definition': 'off_protocol', 'dropped': off_protocol}
    ]) as own
  from marts.dropout as course
)

select
  own.definition as definition,
  count(own.dropped) as n_judged,
  count(*) filter (where own.dropped) as n_dropped,
  avg(own.dropped::integer) as share,
  count(*) filter (where own.dropped and missed_last) as and_missed_last,
  count(*) filter (where own.dropped and unilateral) as and_unilateral,
  count(*) filter (where own.dropped and not_improved) as and_not_improved,
  count(*) filter (where own.dropped and few_sessions) as and_few_sessions,
  count(*) filter (where own.dropped and off_protocol) as and_off_protocol
from said
group by definition
order by list_position(['missed_last', 'unilateral', 'not_improved', 'few_sessions', 'off_protocol'], definition)
