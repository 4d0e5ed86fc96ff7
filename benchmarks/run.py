"""All benchmarks, one after the other. Only ratios count: machines are shared and noisy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    for name in ("startup.py", "ingest.py", "log.py", "outcomes.py", "alliance.py"):
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(HERE / name)], check=True)


if __name__ == "__main__":
    main()
