-- marts.dropout_model: logistic regression of drop-out on the early alliance
-- grain: instrument, version, rater, rule_id, model, term
-- scope: study
-- python: logistic
-- source: Cox 1958, Journal of the Royal Statistical Society B 20, 215-242; iteratively reweighted least squares as in
--         McCullagh & Nelder 1989, Generalized Linear Models, chapter 4.
-- `rule_id` is the definition of drop-out; early ratings and clients as in marts.early_alliance_dropout, over all sites.
-- `model`: `early` has the early rating only; `early_pre_site` also the outcome score before treatment (first score of the
-- outcome rule behind drop-out in study.yaml) and one term per site against the first one, for clients who have that score;
-- sites where all or nobody dropped out say nothing there and are left out.
-- Empty where the estimate does not exist (drop-outs and stayers can be told apart completely) or clients are too few.

with pre as (
  select pair.site_id, pair.client_id, pair.episode_id, pair.pre_score
  from intermediate.outcome_pair as pair
  inner join study.dropout as threshold
    on pair.rule_id = threshold.outcome_rule
    and pair.instrument = threshold.outcome_instrument
    and pair.version = threshold.outcome_version
  where pair.rater = 'client' and pair.pre_score is not null
),

fitted as (
  select
    instrument,
    version,
    rater,
    rule_id,
    'early' as model,
    logistic(
      list(is_dropout order by site_id, client_id, episode_id),
      ['early'],
      list([score] order by site_id, client_id, episode_id),
      list('all' order by site_id, client_id, episode_id)
    ) as terms
  from intermediate.early_rating
  group by instrument, version, rater, rule_id
  union all
  select
    early.instrument,
    early.version,
    early.rater,
    early.rule_id,
    'early_pre_site',
    logistic(
      list(early.is_dropout order by early.site_id, early.client_id, early.episode_id),
      ['early', 'pre'],
      list([early.score, pre.pre_score] order by early.site_id, early.client_id, early.episode_id),
      list(early.site_id order by early.site_id, early.client_id, early.episode_id)
    )
  from intermediate.early_rating as early
  inner join pre using (site_id, client_id, episode_id)
  group by early.instrument, early.version, early.rater, early.rule_id
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
  part.estimate / part.se as z,
  part.p as p,
  exp(part.estimate) as odds_ratio,
  exp(part.estimate - 1.959963984540054 * part.se) as low,
  exp(part.estimate + 1.959963984540054 * part.se) as high
from term
