-- marts.coder_agreement: how far coders agree on double-coded sessions
-- grain: site_id, scheme, level, code, measure, coder_id, other_coder_id, rule_id
-- scope: site
-- python: coder_agreement
-- source: Cohen 1960, Educational and Psychological Measurement 20, 37-46, and 1968, Psychological Bulletin 70, 213-220; Fleiss 1971,
--         Psychological Bulletin 76, 378-382; Light 1971, Psychological Bulletin 76, 365-377; Conger 1980, Psychological Bulletin 88,
--         322-328; Shrout & Fleiss 1979, Psychological Bulletin 86, 420-428; Krippendorff 2011, Computing Krippendorff's
--         alpha-reliability. Limits (95 %): Fleiss, Cohen & Everitt 1969, Psychological Bulletin 72, 323-327 (kappa of two);
--         Gwet 2021, Educational and Psychological Measurement 81, 781-790 (kappa of Fleiss) [M]; McGraw & Wong 1996,
--         Psychological Methods 1, 30-46 (ICC). Others have none: alpha's are by resampling.
-- rules: rows without coders are about all coders of the site, the others about one pair. Unit: the session. `count`: segments
--        with the code; `presence`: whether there is any (nominal statistics only); `rating`: the global rating of the pass.
--        agreement       share of sessions on which all coders say the same
--        kappa           two coders; _linear, _quadratic: weights 1 - |i - j| / (k - 1) and its square over the places of
--                        the k values that occur, sorted; a value that nobody used has no place (as in R's irr)
--        kappa_light     mean kappa of all pairs; kappa_conger: chance by each coder's own shares; three coders or more
--        kappa_fleiss    coders may change from session to session
--        icc_1           ICC(1), coders may change; icc_2_1: ICC(2,1) = ICC(A,1), absolute agreement; icc_3_1: ICC(3,1) = ICC(C,1)
--        icc_1_k, icc_2_k, icc_3_k   the same for the mean over the n_coders, as marts.rupture_session takes it
--        alpha_nominal, _ordinal, _interval, _ratio   Krippendorff's alpha, missing codings allowed
--        agreement, kappa_fleiss and icc_1 rest on sessions with the usual number of coders (the most frequent one); kappa,
--        kappa_light, kappa_conger, icc_2_1 and icc_3_1 on sessions that every coder of the row has coded; n_units says how many.
-- Only double-coded sessions, roles primary and reliability (intermediate.coder_value); consensus codes never.

with rated as (
  select
    *,
    client_id || ' ' || episode_id || ' ' || session_number as unit
  from intermediate.coder_value
),

together as (
  select
    one.site_id,
    one.scheme,
    one.level,
    one.code,
    one.measure,
    one.unit,
    one.coder_id,
    other.coder_id as other_coder_id,
    one.value,
    other.value as other_value
  from rated as one
  inner join rated as other
    on one.site_id = other.site_id
    and one.scheme = other.scheme
    and one.level = other.level
    and one.code = other.code
    and one.measure = other.measure
    and one.unit = other.unit
    and one.coder_id < other.coder_id
),

rating as (
  select
    site_id, scheme, level, code, measure, null::varchar as coder_id, null::varchar as other_coder_id, unit, coder_id as who, value
  from rated
  union all
  select site_id, scheme, level, code, measure, coder_id, other_coder_id, unit, coder_id, value from together
  union all
  select site_id, scheme, level, code, measure, coder_id, other_coder_id, unit, other_coder_id, other_value from together
),

computed as (
  select
    site_id,
    scheme,
    level,
    code,
    measure,
    coder_id,
    other_coder_id,
    avg(value order by unit, who) as mean_value,
    coder_agreement(
      list(unit order by unit, who), list(who order by unit, who), list(value order by unit, who), measure = 'presence'
    ) as statistics
  from rating
  group by site_id, scheme, level, code, measure, coder_id, other_coder_id
),

statistic as (
  select * exclude (statistics), unnest(statistics) as said from computed
)

select
  site_id,
  scheme,
  level,
  code,
  measure,
  coder_id,
  other_coder_id,
  said.rule_id as rule_id,
  said.value as value,
  said.lower as lower,
  said.upper as upper,
  said.n_units as n_units,
  said.n_coders as n_coders,
  mean_value
from statistic
