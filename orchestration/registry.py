"""The registry of instruments and norm sets on the screen."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from dyadlog.orchestration.screen import console
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.instruments import Instrument, Registry, Version
from dyadlog.schemas.norms import Cutoff, NormRegistry, ScaleNorms

_SCORE = {"sum": "sum of the items", "mean": "sum / answers given", "mean_x10": "mean x 10"}
_RULE = {
    "prorate": "prorated from the answers given",
    "subscale_mean_rounded": "rounded mean of the other items of the subscale",
}
STATUS = "V checked in a source document, M from memory, project our own choice, study computed from own data"


def show_instruments(instruments: Registry, norms: NormRegistry, name: str | None) -> None:
    """Print all instruments, or everything that is known of one.

    Raises:
        UserError: no instrument has this name.
    """
    out = console()
    if name is None:
        out.print(_overview(instruments))
        return
    if name not in instruments:
        raise UserError(f"{name} is not a known instrument; `dyadlog instruments` lists all of them")
    _one(out, instruments[name])
    for label, norm_set in norms.get(name, {}).items():
        for scale, figures in norm_set.scales.items():
            out.print(
                f"\n[bold]norm set {label}[/] ({', '.join(norm_set.versions)}), {scale}: {norm_set.population}"
            )
            out.print(_figures(figures))
    out.print(f"\n[dim]{STATUS}[/]")


def _overview(instruments: Registry) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("instrument", "version", "items", "answers", "score", "better", "raters"):
        table.add_column(column)
    for key, instrument in sorted(instruments.items()):
        better = "higher" if instrument.improvement_sign == 1 else "lower"
        for version, form in instrument.versions.items():
            table.add_row(
                key,
                version,
                str(len(form.items)),
                f"{form.min:g}-{form.max:g}",
                _span(form),
                better,
                ", ".join(form.raters),
            )
    return table


def _span(form: Version) -> str:
    if not form.total:
        return "item by item"
    least, greatest = form.span("total")
    return f"{form.score.replace('_', ' ')} {least:g}-{greatest:g}"


def _one(out: Console, instrument: Instrument) -> None:
    out.print(f"[bold]{instrument.instrument}[/]  {instrument.name}")
    out.print(
        f"{instrument.domain}, {instrument.direction.replace('_', ' ')}\n{instrument.source}\n{instrument.licence}"
    )
    for version, form in instrument.versions.items():
        out.print(
            f"\n[bold]version {version}[/]  by {', '.join(form.raters)}"
            + (f"; {', '.join(form.occasions)}" if form.occasions else "")
        )
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("scale", "items", "score", "may be missing"):
            table.add_column(column)
        for scale, members in form.scales.items():
            least, greatest = form.span(scale)
            table.add_row(
                scale, _items(members, form), f"{least:g}-{greatest:g}", str(form.max_missing.of(scale))
            )
        out.print(table)
        answers = f"{form.min:g} to {form.max:g}{', whole numbers' if form.whole else ''}"
        out.print(
            f"answers {answers}; {_SCORE[form.score]}; a missing answer: {_RULE[form.missing_rule]}; * reversed"
        )
    if instrument.evidence:
        out.print()
    for aspect, evidence in instrument.evidence.items():
        out.print(f"{aspect.replace('_', ' ')} \\[{evidence.status}] {evidence.source}")


def _items(members: tuple[str, ...], form: Version) -> str:
    return " ".join(item + ("*" if item in form.reversed else "") for item in members)


def _figures(norms: ScaleNorms) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("figure", "value", "status", "source"):
        table.add_column(column)
    for name in ScaleNorms.model_fields:
        figure = getattr(norms, name)
        if figure is None or name == "bands":
            continue
        label = name.replace("_", " ")
        if isinstance(figure, Cutoff):
            label += " (clinical at it)" if figure.is_clinical else " (clinical beyond it)"
        table.add_row(label, f"{figure.value:g}", figure.status, figure.source)
    for band in norms.bands:
        table.add_row(f"{band.name} from", f"{band.value:g}", band.status, band.source)
    return table
