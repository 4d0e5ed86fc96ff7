-- quality.completeness: forms that the protocol has against forms in use, and why the others are not there
-- grain: site_id, measure_id, session_number
-- scope: site
-- A form is expected after (or before) every held session the protocol names, once per enrolled client at intake and
-- once per ended treatment at the end; `session_number` is null for the latter two.
-- expected = received + declined + held_back + not_sent; the other three are not expected. See intermediate.planned_form.

select
  site_id,
  measure_id,
  session_number,
  count(*) filter (where state in ('received', 'declined', 'held_back', 'not_sent'))::integer as expected,
  count(*) filter (where state = 'received')::integer as received,
  count(*) filter (where state = 'declined')::integer as declined,
  count(*) filter (where state = 'held_back')::integer as held_back,
  count(*) filter (where state = 'not_sent')::integer as not_sent,
  count(*) filter (where state = 'missed_session')::integer as missed_session,
  count(*) filter (where state = 'withdrawn')::integer as withdrawn,
  count(*) filter (where state = 'not_due')::integer as not_due
from intermediate.planned_form
group by site_id, measure_id, session_number
