-- quality.receipt: account of every delivered file
-- grain: commit_seq
-- scope: site

select
  site_id,
  commit_seq,
  kind as outcome,
  delivery_id,
  file_name,
  file_bytes,
  file_sha256,
  received_at,
  lines,
  facts,
  accepted,
  duplicate,
  held_back
from log.commit
