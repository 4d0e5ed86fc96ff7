-- quality.receipt: account of every delivered file, as it stands now
-- grain: commit_seq
-- scope: site
-- lines = accepted + duplicate + held_back. Lines that were held back and released since (`released`) are counted once,
-- among the accepted or duplicate ones. `voided_in` is the commit that voided the delivery: its lines count no longer,
-- but for those that another delivery repeats. `verdict_digest` is what was found in the file when it came: `dyadlog check`
-- at the site says the same.

select
  site_id,
  commit_seq,
  kind as outcome,
  delivery_id,
  file_name,
  file_bytes,
  file_sha256,
  verdict_digest,
  received_at,
  lines,
  facts,
  accepted + released_accepted as accepted,
  duplicate + released_duplicate as duplicate,
  held_back - released_accepted - released_duplicate as held_back,
  released_accepted + released_duplicate as released,
  voided_in
from log.commit
