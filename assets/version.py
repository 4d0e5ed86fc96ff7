"""Which code made a result."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def code_version() -> str:
    """Version of Dyadlog with a digest of everything that decides what the marts and reports hold."""
    import dyadlog.assets
    import dyadlog.dbt_like_sql
    import dyadlog.schemas

    digest = hashlib.sha256()
    for package in (dyadlog.schemas, dyadlog.assets, dyadlog.dbt_like_sql):
        root = Path(next(iter(package.__path__)))
        for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".sql", ".yaml", ".j2", ".css")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{metadata.version('dyadlog')}+{digest.hexdigest()[:12]}"
