-- 28. Sudden gains: how many, how large, and are they preceded by the repair of a rupture?
-- Reading: by rule: intervals tested, gains, clients with one, mean size, share later reversed; and the share of gains with a repaired
--   rupture (drop of the client's rating by one own SD) in the session before the gain or the one before that, beside the same share
--   of the other intervals. A higher share before gains says yes.
-- Caveats: a client must rate alliance and outcome often for both to be seen.

with repair as (
  select distinct site_id, client_id, episode_id, repair_session_number as session_number
  from marts.rupture_event
  where rule_id = 'drop_own_sd_k1' and source = 'client' and status = 'repaired'
),

tested as (
  select
    tested.instrument,
    tested.rule_id,
    tested.site_id,
    tested.client_id,
    tested.is_sudden,
    exists (
      select 1
      from repair
      where repair.site_id = tested.site_id
        and repair.client_id = tested.client_id
        and repair.episode_id = tested.episode_id
        and repair.session_number between tested.session_number - 1 and tested.session_number
    ) as after_repair
  from marts.sudden_gain_interval as tested
  where tested.kind = 'gain' and tested.is_sudden is not null
),

size as (
  select instrument, rule_id, avg(magnitude) as mean_size, avg(is_reversed::integer) as reversed
  from marts.sudden_gain
  where kind = 'gain'
  group by instrument, rule_id
)

select
  tested.instrument,
  tested.rule_id,
  count(*) as n_intervals,
  count(*) filter (where is_sudden) as n_gains,
  count(distinct (site_id, client_id)) filter (where is_sudden) as n_clients,
  size.mean_size,
  size.reversed,
  avg(after_repair::integer) filter (where is_sudden) as after_repair_gains,
  avg(after_repair::integer) filter (where not is_sudden) as after_repair_others
from tested
left join size using (instrument, rule_id)
group by tested.instrument, tested.rule_id, size.mean_size, size.reversed
order by tested.instrument, tested.rule_id
