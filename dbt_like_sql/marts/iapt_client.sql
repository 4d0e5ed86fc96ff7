-- marts.iapt_client: recovery of a client by the English dialect, over depression and anxiety together
-- grain: site_id, client_id, episode_id, rule_id
-- scope: study
-- source: NCT05134103, IAPT definitions [V]: caseness PHQ-9 10 and more or GAD-7 8 and more; reliable change 6 and 4 points.
-- rules: `iapt`: a case at the start scores at or above a cut-off in either form; recovered = a case at the start and below
--        both cut-offs at the end; reliably improved = a reliable improvement in either form and a reliable deterioration
--        in none [M]; reliably recovered = both. Only clients with two scores in each form that they filled in count.

with judged as (
  select *
  from marts.outcome_client
  where rule_id = 'points_iapt' and instrument in ('phq-9', 'gad-7') and rater = 'client'
),

client as (
  select
    site_id,
    client_id,
    episode_id,
    count(*)::integer as n_measures,
    bool_or(is_clinical_pre) as is_case_pre,
    not bool_and(is_functional_post) as is_case_post,
    bool_or(improvement >= reliable_change) and not bool_or(improvement <= -reliable_change) as is_reliably_improved,
    bool_or(improvement <= -reliable_change) and not bool_or(improvement >= reliable_change) as is_reliably_deteriorated
  from judged
  group by site_id, client_id, episode_id
  having bool_and(category is not null)
)

select
  site_id,
  client_id,
  episode_id,
  'iapt' as rule_id,
  n_measures,
  is_case_pre,
  is_case_post,
  is_case_pre and not is_case_post as is_recovered,
  is_reliably_improved,
  is_reliably_deteriorated,
  is_case_pre and not is_case_post and is_reliably_improved as is_reliably_recovered
from client
