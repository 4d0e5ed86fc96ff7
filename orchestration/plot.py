"""`dyadlog plot`: pictures of the published marts, written where a person asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dyadlog.assets.warehouse.published import pictures_folder, under_way
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

if TYPE_CHECKING:
    import duckdb

    from dyadlog.assets.pictures.canvas import Picture

_PERSON = "This picture shows one person's treatment: for the study team only. No page of a site links to it, and it must not leave the study."
_STUDY = "For the study team: no person can be followed, but all sites are named."


@dataclass(frozen=True)
class _Sheet:
    """What goes on a page: its title, who may see it, the pictures."""

    title: str
    kind: str
    note: str
    pictures: Sequence[Picture]


def plot_dyad(study: Study, site_id: str, client_id: str, to: Path | None, as_of: str | None) -> Path:
    """Draw one client's treatment, episode by episode.

    Args:
        study: the study.
        site_id: the site.
        client_id: the client.
        to: file to write, .html or .svg; `pictures/<site>/<client>.html` in the study folder if None.
        as_of: draw from the marts of an earlier commit or day.

    Returns:
        the file.

    Raises:
        UserError: unknown site or client, nothing is published yet, or a place where it must not lie.
    """
    if site_id not in study.site_ids:
        raise UserError(f"{site_id}: no site of this study; its sites are {', '.join(study.site_ids)}")

    def draw(duck: duckdb.DuckDBPyConnection) -> _Sheet:
        from dyadlog.assets.pictures.canvas import Picture
        from dyadlog.assets.pictures.course import courses, is_known
        from dyadlog.assets.pictures.dyad import Look, dyad_picture

        if not is_known(duck, site_id, client_id):
            raise UserError(f"{site_id}: the marts hold nothing of this client; is the pseudonym right?")
        span = study.protocol.alliance.common_range
        look = Look(span.min, span.max, study.protocol.thresholds.rupture_min_ratings)
        pictures = [dyad_picture(course, look) for course in courses(duck, site_id, client_id)]
        nothing = "The client is enrolled; no session, rating or score is known."
        return _Sheet(
            f"{site_id} · {client_id}",
            "One dyad",
            _PERSON,
            pictures or [Picture("course", "Course", None, nothing)],
        )

    return _write(study, to or pictures_folder(study) / site_id / f"{client_id}.html", draw, as_of)


def plot_study(study: Study, to: Path | None, as_of: str | None) -> Path:
    """Draw the study: courses of the alliance, agreement of both raters, ruptures by rule, outcome by site.

    Args:
        study: the study.
        to: file to write, .html or .svg; `pictures/study.html` in the study folder if None.
        as_of: draw from the marts of an earlier commit or day.

    Returns:
        the file.

    Raises:
        UserError: nothing is published yet, or a place where it must not lie.
    """

    def draw(duck: duckdb.DuckDBPyConnection) -> _Sheet:
        from dyadlog.assets.pictures.study import study_pictures

        return _Sheet("The study in pictures", "All sites", _STUDY, study_pictures(duck))

    return _write(study, to or pictures_folder(study) / "study.html", draw, as_of)


def _write(
    study: Study, to: Path, draw: Callable[[duckdb.DuckDBPyConnection], _Sheet], as_of: str | None
) -> Path:
    from dyadlog.assets.quality.facts import read_origin
    from dyadlog.assets.quality.pictures import pictures_page, pictures_svg
    from dyadlog.orchestration.query import connect, marts_as_of

    _check(study, to)
    connect(study).close()  # says so if nothing is published
    # An erasure waits until the picture is written, and then removes it.
    with under_way(study):
        with connect(study, marts_as_of(study, as_of) if as_of else None) as duck:
            sheet, origin = draw(duck), read_origin(duck)
        if to.suffix == ".svg":
            simulated = "SIMULATED DATA. " if origin.simulated else ""
            text = pictures_svg(
                sheet.title, f"{study.protocol.title}. {simulated}{sheet.note}", sheet.pictures
            )
        else:
            text = pictures_page(
                sheet.title, study.protocol.title, sheet.note, sheet.pictures, origin, kind=sheet.kind
            )
        if to.is_relative_to(pictures_folder(study)):
            to.parent.mkdir(parents=True, exist_ok=True)
        waiting = to.with_name(f".{to.name}.part")
        waiting.write_text(text, "utf-8")
        waiting.replace(to)
    return to


def _check(study: Study, to: Path) -> None:
    """Pictures lie outside the study folder or in `pictures/`: sites see `reports/` and `landing/`, and an erasure has to find them."""
    if to.suffix not in (".html", ".svg"):
        raise UserError(f"{to}: a picture is written as .html or .svg")
    place = to.resolve()
    if place.is_relative_to(study.folder.resolve()) and not place.is_relative_to(
        pictures_folder(study).resolve()
    ):
        raise UserError(
            f"{to}: in the study folder pictures lie in {pictures_folder(study).name}/, where no site looks and an erasure finds them"
        )
