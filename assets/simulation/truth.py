"""What is true of a site, as plain tables; nothing here knows how it will be delivered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dyadlog.assets.simulation.coded import coded_tables
from dyadlog.assets.simulation.forms import form_table
from dyadlog.assets.simulation.network import Site
from dyadlog.assets.simulation.observed import feedback_table, interview_tables, report_table, strain_table
from dyadlog.assets.simulation.records import Records, Table
from dyadlog.assets.simulation.treated import (
    client_table,
    ending_table,
    followup_table,
    rupture_table,
    session_table,
    therapist_table,
    withdrawal_table,
)
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.simulation import Parameters


@dataclass(frozen=True)
class Truth:
    """The tables of one site. Keys are `site_id`, `client_id`, `session_number` (among the planned sessions).

    Days: `study_day` counts from the client's enrolment, `day` and `recorded_on` from the start of the study.
    Latent values are in SD of clients at intake. A treatment goes on in the truth after consent was withdrawn or
    the last night was delivered; whether a row was delivered is decided with the facts.

    Args:
        site: size, attendance, attrition and other properties of the site.
        therapist: therapists with their effects.
        client: clients with their effects.
        session: planned sessions with what became of them and the latent values.
        form: questionnaires that were filled in, with answers.
        rupture: ruptures with kind and repair.
        report: direct reports of ruptures and repairs.
        marker: markers in the recordings that were coded.
        coding: passes of coders.
        segment: markers that a coder saw.
        ritual: opening and closing rituals in coded sessions.
        strain: countertransference that was rated.
        interview: recall interviews, done or not.
        moment: coded moments of interviews.
        feedback: feedback shown to therapists.
        ending: how treatments ended.
        followup: contacts after the end.
        withdrawal: consent withdrawn.
    """

    site: Table
    therapist: Table
    client: Table
    session: Table
    form: Table
    rupture: Table
    report: Table
    marker: Table
    coding: Table
    segment: Table
    ritual: Table
    strain: Table
    interview: Table
    moment: Table
    feedback: Table
    ending: Table
    followup: Table
    withdrawal: Table

    def tables(self) -> dict[str, Table]:
        """All tables by name."""
        return dict(vars(self))


def truth_table(folder: Path, table: str) -> pl.DataFrame:
    """A table of what is true in a simulated study, over all sites.

    Raises:
        UserError: the study has no such table: it is not simulated, or without faults.
    """
    files = sorted((folder / "truth" / table).glob("*.parquet"))
    if not files:
        raise UserError(
            f"{folder}: no truth/{table}; make another study with `dyadlog simulate NEW --faults realistic`"
        )
    return pl.read_parquet(files)


def truth_of(p: Parameters, seed: int, site: Site) -> Truth:
    """Everything that happens at a site.

    Args:
        p: parameters.
        seed: seed of the study.
        site: the site, of `network.sites`.
    """
    r = Records(p, seed, site)
    client = client_table(r)
    interview, moment = interview_tables(r)
    return Truth(
        site=pl.DataFrame([vars(site)]),
        therapist=therapist_table(r),
        client=client,
        session=session_table(r),
        form=form_table(r),
        rupture=rupture_table(r),
        report=report_table(r),
        **coded_tables(r),
        strain=strain_table(r),
        interview=interview,
        moment=moment,
        feedback=feedback_table(r, client),
        ending=ending_table(r),
        followup=followup_table(r),
        withdrawal=withdrawal_table(r),
    )
