"""Nights in processes of their own that start fast: the libraries are loaded once, by a server that forks.

A forked night is a process like any other: it can be killed, and takes nothing with it.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess

_LIBRARIES = (
    "dagster",
    "great_expectations",
    "pandera.polars",
    "duckdb",
    "pyarrow",
    "dyadlog.orchestration.graph",
)


def _night(folder: str) -> None:
    from dyadlog.orchestration.cli import main

    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.argv = ["dyadlog", "night", "-s", folder]
    main()


def start(folder: str) -> ForkServerProcess:
    """`dyadlog night -s FOLDER`, running."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(_LIBRARIES))
    process = context.Process(target=_night, args=(folder,))
    process.start()
    return process
