"""The site's own check: the centre's code on a file that was not sent yet."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from dyadlog.assets.event_log.records import Receipt
from dyadlog.assets.intake.files import Landed
from dyadlog.schemas.codes import codes
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study


def check_files(study: Study, files: list[Path], site: str | None, report: Path | None = None) -> bool:
    """Check files and say what to fix.

    Args:
        study: the protocol.
        files: files as they would be delivered.
        site: their site; the folder's name, or the only site, if None.
        report: folder for the page that the centre would write of these files alone.

    Returns:
        True if no line and no file would be refused.

    Raises:
        UserError: a file does not exist, its site cannot be told, or the files do not go on one page.
    """
    landed = [_landed(study, path, site) for path in files]
    if report:
        _one_page(landed)
    sys.stdout.flush()
    # Imported late: the names of files and sites are checked before the heavy libraries load.
    from dyadlog.assets.intake.reading import Readers, read_file

    good = True
    with closing(Readers(study)) as readers:
        for one in landed:
            reading = read_file(study, one, readers)
            _show(reading.receipt, refused=reading.refused)
            good = good and not reading.refused and not reading.receipt.held_back
    if report:
        from dyadlog.assets.quality.before_sending import report_before_sending

        print(f"\nThe page of the centre: {report_before_sending(study, landed, report)}")
    return good


def _one_page(landed: list[Landed]) -> None:
    if len({one.site_id for one in landed}) > 1:
        raise UserError("--report: the files are of several sites; check those of one site at a time")
    if len({one.name for one in landed}) < len(landed):
        raise UserError("--report: two files have the same name; check them one at a time")


def _landed(study: Study, path: Path, site: str | None) -> Landed:
    if not path.exists():
        raise UserError(f"{path}: there is no such file")
    for guess in (site, path.resolve().parent.name, study.site_ids[0] if len(study.site_ids) == 1 else None):
        if guess in study.site_ids:
            return Landed(str(guess), path, path.stat().st_size, (0, 0, 0))
    raise UserError(f"{path}: which site is this from? Add --site with one of: {', '.join(study.site_ids)}")


def _show(receipt: Receipt, *, refused: bool) -> None:
    from dyadlog.orchestration.screen import console

    out = console()
    if refused:
        out.print(f"[bold]{receipt.file_name}[/]: [red]would be rejected[/] ({receipt.file_bytes:,} bytes)")
    else:
        verdict = (
            "[yellow]would be held back in part[/]" if receipt.held_back else "[green]would be accepted[/]"
        )
        out.print(
            f"[bold]{receipt.file_name}[/]: {verdict}\n"
            f"  {receipt.lines:,} lines = {receipt.accepted + receipt.duplicate:,} good + {receipt.held_back:,} held back"
        )
    out.print(f"  verdict {receipt.verdict_digest} [dim](the centre's page shows the same)[/]")
    for code, count in sorted(receipt.codes.items(), key=lambda pair: (-pair[1], pair[0])):
        told = codes()[code]
        fields = ", ".join(sorted(f.split("@")[1] for f in receipt.fields if f.startswith(f"{code}@")))
        where = f" [dim]({fields})[/]" if fields else ""
        out.print(f"\n  [bold]{code}[/] in {count:,} of {max(receipt.lines, count):,}{where}")
        out.print(f"    {told.says} {told.why}\n    Fix: {told.fix}")
