-- marts.rupture_session: all that is known of ruptures in a session, by source
-- grain: site_id, client_id, episode_id, session_number, source, basis, instrument, version, occasion
-- scope: study
-- source: Zlotnick et al. 2020 (changes within and between sessions) [V]; Chen, Atzil-Slonim et al. 2016 (recognition) [V: topic]; Eubanks,
--         Muran & Safran 2019 (families of markers, global rating) [V]; Lavik et al. 2022 (recall interviews) [V].
-- One row for every session of which a source could say something, rupture or not: the figures, and in `rule_ids` the rules that
-- call it a rupture (a row for each of them, with its resolution, stands in marts.rupture_event). Basis:
--   rating        a total alliance rating: change since the last one, own spread, mean and mean moving range (the control chart);
--                 where there are ratings before sessions too, changes within the session and since the last one
--   form, event   a direct report could have been given; recognised: the client reports and the therapist does too
--   recognition   source is the dyad: both could report
--   coding        observers coded the session: the consensus if there is one, else the primary, else the second coding
--   interview     a recall interview about the session was done

with change as (
  select * from intermediate.session_change
),

met as (
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    source,
    basis,
    instrument,
    version,
    occasion,
    string_agg(rule_id, ' ' order by rule_id) as rule_ids,
    count(*)::integer as n_rules
  from marts.rupture_event
  group by site_id, client_id, episode_id, session_number, source, basis, instrument, version, occasion
),

known as (
  select
    rating.site_id,
    rating.client_id,
    rating.episode_id,
    rating.session_number,
    rating.rater as source,
    'rating' as basis,
    rating.instrument,
    rating.version,
    rating.occasion,
    rating.improvement_sign * rating.score as score,
    rating.previous_session_number,
    (rating.session_number - rating.previous_session_number)::integer as session_gap,
    rating.drop_size,
    rating.own_sd,
    rating.improvement_sign * rating.mean as mean,
    rating.mean_range,
    rating.n_ratings,
    case when rating.occasion = 'post_session' then change.within_change end as within_change,
    case when rating.occasion = 'pre_session' then change.between_change end as between_change,
    null::boolean as is_reported,
    null::boolean as is_recognised,
    null::double as intensity,
    null::double as extent_resolved,
    null::varchar as coding_role,
    null::integer as n_coders,
    null::double as coded_minutes,
    null::double as n_withdrawal,
    null::double as n_confrontation,
    null::double as n_resolution,
    null::integer as n_codes
  from intermediate.rupture_rating as rating
  left join change
    on rating.site_id = change.site_id
    and rating.client_id = change.client_id
    and rating.episode_id = change.episode_id
    and rating.session_number = change.session_number
    and rating.rater = change.rater
    and rating.instrument = change.instrument
    and rating.version = change.version
  union all
  select
    direct.site_id,
    direct.client_id,
    direct.episode_id,
    direct.session_number,
    direct.source,
    direct.basis,
    direct.instrument,
    direct.version,
    direct.occasion,
    null as score,
    null as previous_session_number,
    null as session_gap,
    null as drop_size,
    null as own_sd,
    null as mean,
    null as mean_range,
    null as n_ratings,
    null as within_change,
    null as between_change,
    direct.is_reported,
    case when direct.source = 'client' and direct.is_reported then seen.is_reported_by_therapist end as is_recognised,
    direct.intensity,
    direct.extent_resolved,
    null as coding_role,
    null as n_coders,
    null as coded_minutes,
    null as n_withdrawal,
    null as n_confrontation,
    null as n_resolution,
    null as n_codes
  from intermediate.rupture_direct as direct
  left join intermediate.rupture_recognition as seen using (site_id, client_id, episode_id, session_number)
  union all
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    'dyad' as source,
    'recognition' as basis,
    null as instrument,
    null as version,
    null as occasion,
    null as score,
    null as previous_session_number,
    null as session_gap,
    null as drop_size,
    null as own_sd,
    null as mean,
    null as mean_range,
    null as n_ratings,
    null as within_change,
    null as between_change,
    is_reported,
    case when is_reported then is_recognised end as is_recognised,
    intensity,
    extent_resolved,
    null as coding_role,
    null as n_coders,
    null as coded_minutes,
    null as n_withdrawal,
    null as n_confrontation,
    null as n_resolution,
    null as n_codes
  from intermediate.rupture_recognition
  union all
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    'observer' as source,
    'coding' as basis,
    null as instrument,
    null as version,
    null as occasion,
    null as score,
    null as previous_session_number,
    null as session_gap,
    null as drop_size,
    null as own_sd,
    null as mean,
    null as mean_range,
    null as n_ratings,
    null as within_change,
    null as between_change,
    null as is_reported,
    null as is_recognised,
    significance as intensity,
    extent_resolved,
    coding_role,
    n_coders,
    coded_minutes,
    n_withdrawal,
    n_confrontation,
    n_resolution,
    null as n_codes
  from intermediate.rupture_coding
  union all
  select
    site_id,
    client_id,
    episode_id,
    session_number,
    perspective as source,
    'interview' as basis,
    null as instrument,
    null as version,
    null as occasion,
    null as score,
    null as previous_session_number,
    null as session_gap,
    null as drop_size,
    null as own_sd,
    null as mean,
    null as mean_range,
    null as n_ratings,
    null as within_change,
    null as between_change,
    null as is_reported,
    null as is_recognised,
    null as intensity,
    null as extent_resolved,
    null as coding_role,
    null as n_coders,
    null as coded_minutes,
    null as n_withdrawal,
    null as n_confrontation,
    null as n_resolution,
    n_codes
  from intermediate.rupture_interview
)

select
  known.*,
  coalesce(met.rule_ids, '') as rule_ids,
  coalesce(met.n_rules, 0) as n_rules
from known
left join met
  on known.site_id = met.site_id
  and known.client_id = met.client_id
  and known.episode_id = met.episode_id
  and known.session_number = met.session_number
  and known.source = met.source
  and known.basis = met.basis
  and coalesce(known.instrument, '') = coalesce(met.instrument, '')
  and coalesce(known.version, '') = coalesce(met.version, '')
  and coalesce(known.occasion, '') = coalesce(met.occasion, '')
