-- marts.coder_drift: how much a coder marks beside the other coders of the same sessions, over time
-- grain: site_id, scheme, level, code, coder_id, band
-- scope: site
-- source: own rule of this project; the question is that of coder drift in Eubanks, Lubitz, Muran & Safran 2019,
--         Psychotherapy Research 29, 306-319 [M].
-- rules: `bands_of_<n>`: the double-coded sessions of a coder in the order of coding, n to a band (`coder_band_sessions` in study.yaml);
--        the last band may be shorter. difference = own count minus the mean count of the others on the same session;
--        low and high are its 95 % interval (normal), empty with fewer than two sessions.
-- Order of coding: recorded_day, which is counted from each client's own index date: where clients start far apart it is a
-- rough order only. Families of codes and all codes together; single codes are too rare for it.

with value as (
  select * from intermediate.coder_value where measure = 'count' and level in ('family', 'all')
),

threshold as (
  select coder_band_sessions from study.threshold
),

against as (
  select
    own.site_id,
    own.client_id,
    own.episode_id,
    own.session_number,
    own.scheme,
    own.level,
    own.code,
    own.coder_id,
    own.recorded_day,
    own.value,
    avg(other.value order by other.coder_id) as others_value
  from value as own
  inner join value as other
    on own.site_id = other.site_id
    and own.client_id = other.client_id
    and own.episode_id = other.episode_id
    and own.session_number = other.session_number
    and own.scheme = other.scheme
    and own.level = other.level
    and own.code = other.code
    and own.coder_id <> other.coder_id
  group by
    own.site_id,
    own.client_id,
    own.episode_id,
    own.session_number,
    own.scheme,
    own.level,
    own.code,
    own.coder_id,
    own.recorded_day,
    own.value
),

placed as (
  select
    *,
    row_number() over (
      partition by site_id, scheme, level, code, coder_id
      order by recorded_day nulls last, client_id, episode_id, session_number
    ) as place
  from against
),

banded as (
  select
    placed.*,
    'bands_of_' || coder_band_sessions as rule_id,
    ((place - 1) // coder_band_sessions + 1)::integer as band
  from placed
  cross join threshold
),

summed as (
  select
    site_id,
    scheme,
    level,
    code,
    coder_id,
    band,
    rule_id,
    count(*)::integer as n_sessions,
    min(recorded_day) as first_day,
    max(recorded_day) as last_day,
    avg(value order by place) as own_mean,
    avg(others_value order by place) as others_mean,
    avg(value - others_value order by place) as difference,
    stddev_samp(value - others_value order by place) / sqrt(count(*)) as se
  from banded
  group by site_id, scheme, level, code, coder_id, band, rule_id
)

select
  site_id,
  scheme,
  level,
  code,
  coder_id,
  band,
  rule_id,
  n_sessions,
  first_day,
  last_day,
  own_mean,
  others_mean,
  difference,
  difference - 1.959963984540054 * se as low,
  difference + 1.959963984540054 * se as high
from summed
