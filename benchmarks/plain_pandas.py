"""The same checks as intake's in a plain pandas + Pandera script, as a yardstick for `ingest.py`.

What it leaves out: line numbers, duplicate keys, NaN and trailing commas, duplicates against a log, durable writing.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
ITEMS = [str(item) for item in range(1, 13)]


def schema() -> pa.DataFrameSchema:
    ids = ["event_id", "client_id", "therapist_id", "episode_id", "instrument", "version"]
    whole = {"session_number": (0, 9999), "study_day": (-20000, 20000), "recorded_day": (-20000, 20000)}
    codes = {
        "event_type": ["instrument.completed"],
        "actor_role": ["client", "therapist", "observer"],
        "rater": ["client", "therapist", "observer", "clinician"],
        "occasion": ["intake", "pre_session", "post_session", "between_sessions", "end", "follow_up"],
    }
    return pa.DataFrameSchema(
        {
            **{name: pa.Column(str, pa.Check.str_matches(ID)) for name in ids},
            **{name: pa.Column(int, pa.Check.in_range(*ends)) for name, ends in whole.items()},
            **{name: pa.Column(str, pa.Check.isin(values)) for name, values in codes.items()},
            **{item: pa.Column(int, pa.Check.in_range(1, 5)) for item in ITEMS},
        },
        strict=True,
    )


def main(source: Path, target: Path) -> None:
    with source.open(encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    payloads = [event.pop("payload") for event in events]
    items = [payload.pop("items") for payload in payloads]
    frame = pd.concat([pd.DataFrame(events), pd.DataFrame(payloads), pd.DataFrame(items)], axis=1)
    frame = schema().validate(frame, lazy=True)
    frame = frame[~frame.duplicated()]
    frame.to_parquet(target)


if __name__ == "__main__":
    began = time.perf_counter()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps({"seconds": time.perf_counter() - began}))
