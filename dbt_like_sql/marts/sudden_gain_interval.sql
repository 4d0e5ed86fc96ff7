-- marts.sudden_gain_interval: every interval between two sessions that was tested for a sudden change
-- grain: site_id, client_id, episode_id, instrument, version, rule_id, session_number
-- scope: site
-- source: Tang & DeRubeis 1999, Journal of Consulting and Clinical Psychology 67, 894-904 (criteria);
--         Lutz et al. 2013 (t values by the number of scores); suddengains 0.7.2 (Wucherpfennig et al.) for its rule.
-- `session_number` is N, the session before the change. With y the score, d = 1 if higher is better and -1 if lower:
--   1  d (y[N+1] - y[N]) >= cut-off
--   2  d (y[N+1] - y[N]) >= percent / 100 times y[N]
--   3  d (mean of y[N+1..N+3] - mean of y[N-2..N]) > t sqrt(((n1-1) s1 s1 + (n2-1) s2 s2) / (n1 + n2 - 2)), with the n1 and n2
--      scores that there are, two at least on each side. It is the pooled SD and not a standard error: so published.
-- Losses: the same with the sign turned. suddengains 0.7.2 lets every loss meet criterion 2, since it asks for a
-- difference that is smaller than a positive number; a rule of that preset does the same.
-- Sessions are numbers: one without a score is missing and is not skipped. The first and the last interval of the series
-- are never tested. A criterion that cannot be computed is empty; the whole is then open unless another criterion
-- fails (suddengains 0.7.2 leaves it open even then).

with rule as (
  select * from study.sudden_rule
),

series as (
  select * from intermediate.session_series
),

-- one row for each place from the second to the last but two: the first and the last interval are not tested
around as (
  select
    site_id,
    client_id,
    episode_id,
    rule_id,
    instrument,
    version,
    first_session + unnest(range(1, len(scores) - 2)) as session_number,
    unnest(scores[2:-3]) as y0,
    unnest(scores[1:-4]) as y_before_1,
    -- before the first and after the last place there is nothing
    unnest(list_concat([null], scores[1:-5])) as y_before_2,
    unnest(scores[3:-2]) as y_after_1,
    unnest(scores[4:-1]) as y_after_2,
    unnest(list_concat(scores[5:], [null])) as y_after_3
  from series
  where len(scores) >= 4
),

counted as (
  select
    *,
    ((y0 is not null)::integer + (y_before_1 is not null)::integer + (y_before_2 is not null)::integer) as n_before,
    ((y_after_1 is not null)::integer + (y_after_2 is not null)::integer + (y_after_3 is not null)::integer) as n_after,
    coalesce(y0, 0) + coalesce(y_before_1, 0) + coalesce(y_before_2, 0) as sum_before,
    coalesce(y_after_1, 0) + coalesce(y_after_2, 0) + coalesce(y_after_3, 0) as sum_after
  from around
),

centred as (
  select
    *,
    sum_before / nullif(n_before, 0) as mean_before,
    sum_after / nullif(n_after, 0) as mean_after
  from counted
),

spread as (
  select
    *,
    case when n_before >= 2 and n_after >= 2 then sqrt(
      (
        coalesce((y0 - mean_before) * (y0 - mean_before), 0)
        + coalesce((y_before_1 - mean_before) * (y_before_1 - mean_before), 0)
        + coalesce((y_before_2 - mean_before) * (y_before_2 - mean_before), 0)
        + coalesce((y_after_1 - mean_after) * (y_after_1 - mean_after), 0)
        + coalesce((y_after_2 - mean_after) * (y_after_2 - mean_after), 0)
        + coalesce((y_after_3 - mean_after) * (y_after_3 - mean_after), 0)
      ) / (n_before + n_after - 2)
    ) end as pooled_sd
  from centred
),

tested as (
  select
    spread.*,
    rule.rater,
    rule.kind,
    rule.missing_decides,
    rule.improvement_sign * (y_after_1 - y0) as magnitude,
    rule.cutoff is not null as applies_1,
    rule.percent is not null as applies_2,
    rule.critical_4 is not null as applies_3,
    case when kind = 'gain' then 1 else -1 end * rule.improvement_sign as turn,
    rule.cutoff,
    rule.percent,
    rule.percent_of_losses,
    case n_before + n_after when 4 then critical_4 when 5 then critical_5 when 6 then critical_6 end as critical
  from spread
  inner join rule
    on spread.rule_id = rule.rule_id and spread.instrument = rule.instrument and spread.version = rule.version
),

decided as (
  select
    *,
    case when applies_1 then round(turn * (y_after_1 - y0), 9) >= cutoff end as meets_1,
    case
      when not applies_2 then null
      when kind = 'loss' and not percent_of_losses then magnitude <= percent / 100 * y0
      else round(turn * (y_after_1 - y0) - percent / 100 * y0, 9) >= 0
    end as meets_2,
    case when applies_3 then turn * (mean_after - mean_before) > critical * pooled_sd end as meets_3
  from tested
)

select
  site_id,
  client_id,
  episode_id,
  instrument,
  version,
  rater,
  rule_id,
  kind,
  session_number,
  y0 as score_before,
  y_after_1 as score_after,
  magnitude,
  n_before,
  n_after,
  mean_before,
  mean_after,
  pooled_sd,
  case when applies_3 then critical end as critical_value,
  meets_1,
  meets_2,
  meets_3,
  case
    when missing_decides
      then (meets_1 or not applies_1) and (meets_2 or not applies_2) and (meets_3 or not applies_3)
    when (applies_1 and meets_1 is null) or (applies_2 and meets_2 is null) or (applies_3 and meets_3 is null) then null
    else (meets_1 or not applies_1) and (meets_2 or not applies_2) and (meets_3 or not applies_3)
  end as is_sudden
from decided
