-- intermediate.questionnaire: completed questionnaires and ratings that are in use
-- grain: site_id, event_id
-- scope: site

with completed as (
  select * from staging.event where event_type = 'instrument.completed'
),

resolved as (
  select site_id, event_id from intermediate.reference where waits_for is null
),

opened as (
  select
    completed.* exclude (payload),
    from_json(
      payload,
      '{"instrument": "VARCHAR", "version": "VARCHAR", "rater": "VARCHAR", "occasion": "VARCHAR",
        "claimed_total": "DOUBLE", "seconds": "DOUBLE", "items": "MAP(VARCHAR, DOUBLE)"}'
    ) as said
  from completed
  inner join resolved using (site_id, event_id)
)

select
  site_id,
  event_id,
  client_id,
  therapist_id,
  episode_id,
  session_number,
  study_day,
  recorded_day,
  said.instrument as instrument,
  said.version as version,
  said.rater as rater,
  said.occasion as occasion,
  said.claimed_total::decimal(18, 6) as claimed_total,
  said.seconds as seconds,
  said.items as items
from opened
