-- marts.outcome_model: outcome on early alliance, with more held constant
-- grain: instrument, version, rater, rule_id, model, term
-- scope: study
-- python: least_squares
-- source: ordinary least squares; Fluckiger, Del Re, Wampold & Horvath 2018, Psychotherapy 55, 316-340 (question).
-- `instrument`, `version` and `rater` are those of the alliance, `rule_id` the outcome rule behind drop-out in study.yaml;
-- clients and scores as in marts.early_alliance_outcome, over all sites. What is explained is the score after treatment, as
-- it stands: where a lower score is the better one, a helpful alliance has a minus.
-- `model`: `early_pre` has early alliance and score before; `early_pre_site` also one term per site against the first one (in
-- order of names); `early_pre_arm` and `early_pre_arm_site` the treatment arm of the enrolment, for clients who have one.
-- Clients of one therapist are not independent of each other; for shares of therapists see marts.variance_share.
-- Empty where terms determine each other or clients are too few.

with client as (
  select early.*, client.arm
  from intermediate.early_outcome as early
  left join marts.client as client using (site_id, client_id)
),

model as (
  select
    unnest(['early_pre', 'early_pre_site', 'early_pre_arm', 'early_pre_arm_site']) as model,
    unnest([false, false, true, true]) as needs_arm,
    unnest([false, true, false, true]) as needs_site
),

fitted as (
  select
    client.instrument,
    client.version,
    client.rater,
    client.rule_id,
    model.model,
    least_squares(
      list(client.post order by client.site_id, client.client_id, client.episode_id),
      ['early', 'pre'],
      list([client.early, client.pre] order by client.site_id, client.client_id, client.episode_id),
      case when model.needs_arm then ['arm'] else [] end || case when model.needs_site then ['site'] else [] end,
      list(
        case when model.needs_arm then [client.arm] else [] end
          || case when model.needs_site then [client.site_id] else [] end
        order by client.site_id, client.client_id, client.episode_id
      )
    ) as terms
  from client
  cross join model
  where not model.needs_arm or client.arm is not null
  group by client.instrument, client.version, client.rater, client.rule_id, model.model, model.needs_arm, model.needs_site
),

term as (
  select instrument, version, rater, rule_id, model, unnest(terms) as part
  from fitted
)

select
  instrument,
  version,
  rater,
  rule_id,
  model,
  part.term as term,
  part.n_clients as n_clients,
  part.estimate as estimate,
  part.se as se,
  part.estimate / nullif(part.se, 0) as t,
  part.df as df,
  part.p as p
from term
