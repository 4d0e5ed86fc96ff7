-- quality.act: what was done to deliveries later, by whom and why
-- grain: commit_seq
-- scope: site
-- `release`: lines that had been held back pass the rules of the day and enter. `void`: the delivery counts no longer.

select
  site_id,
  commit_seq,
  kind as act,
  delivery_id,
  file_name,
  received_at as done_at,
  about as about_commit,
  lines,
  accepted,
  duplicate,
  done_by,
  why
from log.act
