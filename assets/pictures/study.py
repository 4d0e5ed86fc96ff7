"""The study as pictures: courses of the alliance, agreement of both raters, ruptures by rule, outcome by site.

Everything is a mean, a share or a distribution over clients: no person can be followed. Still for the study team only.
"""

from __future__ import annotations

import duckdb

from dyadlog.assets.pictures.alliance import congruence, trajectories
from dyadlog.assets.pictures.canvas import Picture
from dyadlog.assets.pictures.results import outcomes, ruptures


def study_pictures(duck: duckdb.DuckDBPyConnection) -> list[Picture]:
    """All pictures of a study, in the order of a page.

    Args:
        duck: published marts, open for reading; nothing else is read.

    Returns:
        the pictures; one without anything to draw has a sentence in place of the drawing.
    """
    ((simulated,),) = duck.execute("select is_simulated from meta.build").fetchall()
    plans = (*trajectories(duck), *congruence(duck), ruptures(duck), *outcomes(duck))
    return [plan.picture(simulated=bool(simulated)) for plan in plans]
