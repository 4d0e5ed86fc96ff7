-- 20. Does the therapist's experience matter for clients with a poor history of relationships?
-- Reading: mean client-rated alliance with experienced (ten years and more) and less experienced therapists, within thirds of the
--   client's interpersonal problems at intake (3 is the worst), and the difference. A difference that grows with the third says yes.
-- Caveats: IIP-32 where the study has it, else the interpersonal scale of the OQ-45, which measures something narrower. Clients choose
--   or are sent to therapists.

with problems as (
  select
    site_id,
    client_id,
    episode_id,
    instrument,
    ntile(3) over (partition by instrument, version order by score, site_id, client_id) as third
  from marts.instrument_score
  where rater = 'client' and occasion = 'intake' and score is not null
    and (instrument = 'iip-32' and scale = 'total' or instrument = 'oq-45' and scale = 'interpersonal_relations')
),

client as (
  select problems.instrument, problems.third, therapist.years_experience >= 10 as is_experienced, dyad.mean
  from problems
  inner join marts.alliance_dyad as dyad using (site_id, client_id, episode_id)
  inner join marts.therapist as therapist using (site_id, therapist_id)
  where dyad.rater = 'client' and dyad.scale = 'total' and therapist.years_experience is not null
)

select
  instrument,
  third,
  count(*) filter (where is_experienced) as n_experienced,
  count(*) filter (where not is_experienced) as n_others,
  avg(mean) filter (where is_experienced) as alliance_experienced,
  avg(mean) filter (where not is_experienced) as alliance_others,
  alliance_experienced - alliance_others as difference
from client
group by instrument, third
order by instrument, third
