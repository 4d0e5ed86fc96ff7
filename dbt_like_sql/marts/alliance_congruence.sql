-- marts.alliance_congruence: do client and therapist of a dyad see the alliance alike?
-- grain: site_id, client_id, episode_id, instrument, version, therapist_instrument, therapist_version, occasion, scale
-- scope: site
-- source: West & Kenny 2011, Psychological Review 118, 357-378 (truth and bias); Atzil-Slonim et al. 2015 (use) [V];
--         Bland & Altman 1986, Lancet 327, 307-310 (limits); Lin 1989, Biometrics 45, 255-268 (concordance).
-- Pairs are ratings of one session at the same occasion, both on the common range (`common_mean` of marts.alliance_session), so that
-- forms with other ranges and numbers of items can be compared. Compared are forms of one instrument, and what study.yaml
-- names under `alliance.pairs`. Differences are therapist minus client.
--   r, truth_force       from three pairs on, with spread in both (in the client's)
--   directional_bias     b0 of  T - mean(C) = b0 + b1 (C - mean(C)): the mean difference; negative: the therapist rates lower
--   truth_force          b1 of it: how the therapist moves with the client (temporal congruence)
--   limits_low, high     mean difference -+ 1.96 SD of the differences
--   ccc                  2 Sct / (Scc + Stt + (mean difference)^2) with variances by n - 1
--   share_within         share of pairs no further apart than study.alliance.agree_within

with client as (
  select *
  from marts.alliance_session
  where rater = 'client' and common_mean is not null
),

therapist as (
  select *
  from marts.alliance_session
  where rater = 'therapist' and common_mean is not null
),

pair as (
  select
    client.*,
    therapist.instrument as therapist_instrument,
    therapist.version as therapist_version,
    therapist.common_mean as therapist_mean_common
  from client
  inner join study.alliance_pair as named on client.instrument = named.instrument and client.version = named.version
  inner join therapist
    on client.site_id = therapist.site_id
    and client.client_id = therapist.client_id
    and client.episode_id = therapist.episode_id
    and client.session_number = therapist.session_number
    and client.occasion = therapist.occasion
    and client.scale = therapist.scale
    and named.therapist_instrument = therapist.instrument
    and named.therapist_version = therapist.version
),

course as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    version,
    therapist_instrument,
    therapist_version,
    occasion,
    scale,
    arg_max(therapist_id, session_number) as therapist_id,
    count(*)::integer as n_pairs,
    list(common_mean order by session_number) as c,
    list(therapist_mean_common order by session_number) as t
  from pair
  group by
    site_id, client_id, episode_id, instrument, version, therapist_instrument, therapist_version, occasion, scale
),

centred as (
  select
    *,
    list_sum(c) / n_pairs as client_mean,
    list_sum(t) / n_pairs as therapist_mean,
    list_transform(list_zip(c, t), lambda p: p[2] - p[1]) as differences
  from course
),

squared as (
  select
    *,
    list_sum(differences) / n_pairs as mean_difference,
    case when list_max(c) > list_min(c) then list_sum(list_transform(c, lambda x: (x - client_mean) ** 2)) else 0 end as scc,
    case when list_max(t) > list_min(t) then list_sum(list_transform(t, lambda x: (x - therapist_mean) ** 2)) else 0 end as stt,
    list_sum(list_transform(list_zip(c, t), lambda p: (p[1] - client_mean) * (p[2] - therapist_mean))) as sct
  from centred
),

spread as (
  select
    *,
    case when n_pairs >= 2 then
      sqrt(list_sum(list_transform(differences, lambda d: (d - mean_difference) ** 2)) / (n_pairs - 1))
    end as sd_difference,
    case when n_pairs >= 3 and scc > 0 then sct / scc end as truth_force
  from squared
)

select
  site_id,
  client_id,
  therapist_id,
  episode_id,
  instrument,
  version,
  therapist_instrument,
  therapist_version,
  occasion,
  scale,
  n_pairs,
  client_mean,
  therapist_mean,
  case when n_pairs >= 3 and scc > 0 and stt > 0 then greatest(-1, least(1, sct / sqrt(scc * stt))) end as r,
  mean_difference,
  sd_difference,
  mean_difference - 1.96 * sd_difference as limits_low,
  mean_difference + 1.96 * sd_difference as limits_high,
  list_sum(list_transform(differences, lambda d: abs(d))) / n_pairs as mean_abs_difference,
  list_sum(list_transform(differences, lambda d: d ** 2)) / n_pairs as mean_squared_difference,
  len(list_filter(differences, lambda d: round(abs(d) - agree_within, 9) <= 0)) / n_pairs as share_within,
  agree_within,
  case when n_pairs >= 3 and (scc > 0 or stt > 0) then
    2 * sct / (scc + stt + (n_pairs - 1) * mean_difference ** 2)
  end as ccc,
  case when n_pairs >= 3 then mean_difference end as directional_bias,
  case when truth_force is not null then
    sqrt(greatest(stt - truth_force * sct, 0) / (n_pairs - 2) / n_pairs)
  end as directional_bias_se,
  truth_force,
  case when truth_force is not null then
    sqrt(greatest(stt - truth_force * sct, 0) / (n_pairs - 2) / scc)
  end as truth_force_se
from spread
cross join study.alliance
