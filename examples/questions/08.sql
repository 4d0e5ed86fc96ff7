-- 8. Does the alliance become established when therapeutic work begins?
-- Reading: for each rater: dyads, those with a first session of established alliance, those with a first session with a code of
--   therapeutic work, those with both; then the median of the first minus the second (below zero: the alliance came first) and
--   the share in which they lie at most one session apart.
-- Caveats: which codes show work is the study's choice (`alliance: {work: ...}` in study.yaml); without such codes there is
--   nothing to compare. Coded sessions are few, so that work may have begun before the first coded session.

select
  rater,
  count(*) as n_dyads,
  count(first_established_session) as n_established,
  count(first_work_session) as n_work,
  count(established_after_work) as n_both,
  median(established_after_work) as median_difference,
  avg((abs(established_after_work) <= 1)::integer) as share_at_most_one_apart
from marts.alliance_dyad
where scale = 'total'
group by rater
order by rater
