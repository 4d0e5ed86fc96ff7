-- quality.change: what a delivery changed in, or added late to, what was known
-- grain: site_id, event_id, revision
-- scope: site
-- kind: `corrected` and `retracted` as the site says (an assertion with a higher revision is `restated`); `late` is the first
-- statement about a session that came after a later session of the same episode had been told of, with its count `sessions_late`.
-- It depends on the order of deliveries, which the marts do not: that is why it stands here.

with fact as (
  select
    site_id,
    event_id,
    revision,
    op,
    event_type,
    client_id,
    coalesce(episode_id, '1') as episode_id,
    session_number,
    reason_code,
    commit_seq,
    max(revision) over (partition by site_id, event_id) as newest
  from log.fact
  where status = 'accepted'
  qualify row_number() over (partition by site_id, event_id, revision order by commit_seq, line_number, fact_number) = 1
),

placed as (
  select
    *,
    max(case when event_type in ('session.held', 'session.missed', 'session.cancelled') then session_number end)
      over course as known_session
  from fact
  window course as (
    partition by site_id, client_id, episode_id order by commit_seq
    range between unbounded preceding and 1 preceding
  )
),

named as (
  select
    *,
    case
      when op = 'retract' then 'retracted'
      when op = 'correct' then 'corrected'
      when revision > 1 then 'restated'
      when known_session > session_number then 'late'
    end as kind
  from placed
)

select
  named.site_id,
  named.event_id,
  named.revision,
  named.kind,
  named.commit_seq,
  receipt.received_at,
  named.event_type,
  named.client_id,
  named.episode_id,
  named.session_number,
  case when named.kind = 'late' then named.known_session - named.session_number end as sessions_late,
  named.reason_code,
  named.revision = named.newest as is_current
from named
inner join log.commit as receipt on named.site_id = receipt.site_id and named.commit_seq = receipt.commit_seq
where named.kind is not null
