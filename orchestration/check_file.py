"""The check of one site as a single file: the program, the rules of the study and what it needs, for `uv run` or `pipx run`.

The file is a script with its own list of packages (PEP 723). It unpacks the very code of this installation, so that what
it says is what the centre says.
"""

from __future__ import annotations

import base64
import io
import re
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, Optional

import typer
import yaml

from dyadlog.orchestration.cli import run_app
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study, read_study

# Packages of the centre that a check does not touch; they are also the heaviest.
_NOT_NEEDED = ("dagster", "great-expectations", "matplotlib")
_PACKAGES = ("schemas", "assets", "orchestration", "dbt_like_sql")
_KINDS = (".py", ".sql", ".yaml", ".j2", ".css", ".json")
_STUDY, _RULES, _SITE = "study", "rules", "site"
# The oldest time that a ZIP file knows: the same code gives the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)

_SCRIPT = '''\
#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
{dependencies}
# ]
# ///
"""Checks files of {site} for the study {study} before they are sent: what the centre will say, and how to fix it.

    uv run {name} my-export.csv        or:  pipx run {name} my-export.csv

The files stay on this machine. `--report DIR` writes the page that the centre would show. Made by Dyadlog {version}.
"""

import base64
import io
import sys
import tempfile
import zipfile
from pathlib import Path

PACKED = """
{packed}
"""

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="dyadlog-") as place:
        zipfile.ZipFile(io.BytesIO(base64.b64decode(PACKED))).extractall(place)
        sys.path.insert(0, place)
        sys.dont_write_bytecode = True
        from dyadlog.orchestration.check_file import run

        run(Path(place))
'''


def write_check_file(study: Study, site_id: str, target: Path) -> None:
    """Write the single file of a site. It holds the rules of the study, nothing of other sites, and no data.

    Args:
        study: the study.
        site_id: the site.
        target: the file; its name should end in .py.

    Raises:
        UserError: there is no such site.
    """
    if site_id not in study.site_ids:
        raise UserError(f"{site_id}: no site of this study; expected one of {', '.join(study.site_ids)}")
    packed = base64.b64encode(_packed(study, site_id)).decode()
    text = _SCRIPT.format(
        dependencies="\n".join(f'#   "{each}",' for each in _dependencies()),
        site=site_id,
        study=study.protocol.study,
        name=target.name,
        version=metadata.version("dyadlog"),
        packed="\n".join(textwrap.wrap(packed, 100)),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    target.chmod(0o755)


def _dependencies() -> Iterator[str]:
    """What the check needs, in the versions of this installation."""
    for needed in metadata.requires("dyadlog") or []:
        name = re.match(r"[\w.-]+(\[[\w,]+\])?", needed)
        if name and "extra ==" not in needed and name[0] not in _NOT_NEEDED:
            yield f"{name[0]}=={metadata.version(name[0].partition('[')[0])}"


def _packed(study: Study, site_id: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in _members(study, site_id):
            archive.writestr(zipfile.ZipInfo(name, _TIME), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _members(study: Study, site_id: str) -> Iterator[tuple[str, bytes]]:
    for package in _PACKAGES:
        root = Path(__file__).parents[1] / package
        for path in sorted(path for path in root.rglob("*") if path.suffix in _KINDS):
            yield f"dyadlog/{package}/{path.relative_to(root).as_posix()}", path.read_bytes()
    about = f"Metadata-Version: 2.1\nName: dyadlog\nVersion: {metadata.version('dyadlog')}\n"
    yield f"dyadlog-{metadata.version('dyadlog')}.dist-info/METADATA", about.encode()
    protocol = study.protocol
    own = [site for site in protocol.sites if site.id == site_id]
    told = protocol.model_copy(update={"sites": tuple(own), "interviews": None, "log_storage": None})
    text = yaml.safe_dump(
        told.model_dump(mode="json", exclude_unset=True, exclude_none=True), sort_keys=False
    )
    yield f"{_STUDY}/study.yaml", text.encode()
    for name in sorted({*protocol.instruments, *protocol.norms, *(m for site in own for m in site.mappings)}):
        yield f"{_STUDY}/{name}", (study.folder / name).read_bytes()
    # The digest of the study's own files, so that the pages of site and centre can be compared.
    yield _RULES, study.rules_digest.encode()
    yield _SITE, site_id.encode()


def run(place: Path) -> None:
    """What the single file does; ends the program with the exit codes of `dyadlog check`.

    Args:
        place: the folder into which the file has unpacked itself.
    """
    app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

    @app.command()
    def check(
        files: Annotated[
            list[Path], typer.Argument(metavar="FILE...", help="Files as they would be delivered.")
        ],
        report: Annotated[
            Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
            typer.Option(metavar="DIR", help="Write the centre's page of these files, and where to look."),
        ] = None,
    ) -> None:
        """Check files before sending them: the same checks, codes and words as at the centre."""
        from dyadlog.orchestration.check import check_files

        study = replace(read_study(place / _STUDY), rules_digest=(place / _RULES).read_text("utf-8"))
        if not check_files(study, files, (place / _SITE).read_text("utf-8"), report):
            raise typer.Exit(1)

    run_app(app)
