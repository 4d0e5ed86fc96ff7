"""Freezing: means and SDs of the study's own sample become a norm set that no later delivery moves."""

from __future__ import annotations

from pathlib import Path

import duckdb

from dyadlog.assets.warehouse.published import current
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

_COLUMNS = ("clinical_mean", "clinical_sd", "post_mean", "post_sd", "pre_post_correlation")
_SQL = """
select instrument, version, scale, count(*) over (partition by instrument, version) as raters, n_reference,
       pre_mean, pre_sd, post_mean, post_sd, correlation,
       (select commit_seq from meta.build) as commit_seq
from marts.outcome_reference where rule_id = $rule and reference = 'study' order by all
"""


def freeze(study: Study, rule: str, name: str) -> list[Path]:
    """Write the reference sample of a rule, as the published marts have it, into norm set files of the study.

    Args:
        study: the study; its marts must have been built.
        rule: a rule whose reference is the study itself.
        name: name of the new norm set.

    Returns:
        the new files (`norms/<instrument>-<name>.yaml`), one per instrument; figures with all their digits.

    Raises:
        UserError: no marts, no such rule, a sample of one, several raters, or the name is taken.
    """
    marts = current(study)
    if marts is None:
        raise UserError("There are no marts yet; run `dyadlog night` first")
    with duckdb.connect(str(marts), read_only=True) as duck:
        rows = duck.execute(_SQL, {"rule": rule}).fetchall()
    if not rows:
        raise UserError(
            f"No rule {rule!r} judges by the study's own sample; rules stand under `outcomes` in study.yaml"
        )
    texts: dict[str, list[str]] = {}
    for instrument, version, scale, raters, n, *figures, commit in rows:
        if raters > 1:
            raise UserError(
                f"{instrument} is filled in by several raters under {rule!r}; freeze one at a time"
            )
        if n < 2 or None in figures:
            raise UserError(f"{instrument} has too few clients with both scores under {rule!r}")
        if name in study.norms.get(instrument, {}):
            raise UserError(f"{instrument} has a norm set {name!r} already; norm sets are never changed")
        source = f"rule {rule}, {n} clients, commit {commit}"
        lines = texts.setdefault(instrument, [f"instrument: {instrument}", "norm_sets:"])
        label = name if len(lines) == 2 else f"{name}-{version}"
        lines += [
            f"  {label}:",
            f'    versions: ["{version}"]',
            f'    population: "study {study.protocol.study}, frozen at commit {commit}"',
            "    scales:",
            f"      {scale}:",
            *(
                f'        {column}: {{value: {figure!r}, status: study, source: "{source}"}}'
                for column, figure in zip(_COLUMNS, figures, strict=True)
            ),
        ]
    files = {
        study.folder / "norms" / f"{instrument}-{name}.yaml": lines for instrument, lines in texts.items()
    }
    for path in files:
        if path.exists():
            raise UserError(f"{path} exists already; norm sets are never changed")
    for path, lines in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return list(files)
