"""Parameters are data: each is used, described and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dyadlog.schemas.errors import UserError
from dyadlog.schemas.simulation import Parameters, simulation

ROOT = Path(__file__).parents[2]


def test_every_parameter_is_used() -> None:
    code = "".join(path.read_text() for path in (ROOT / "assets/simulation").glob("*.py"))
    patterns = [
        re.sub(r"\{[^}]*\}", "[a-z_]+", name) for name in re.findall(r'f?"([a-z_]+\.[a-z_{}\[\]"]+)"', code)
    ]
    between = [f"{name}_(least|most)" for name in patterns]
    for name in simulation().parameters:
        assert any(re.fullmatch(pattern, name) for pattern in patterns + between), name


def test_what_is_published_has_a_source() -> None:
    for name, parameter in simulation().parameters.items():
        assert parameter.says, name
        assert parameter.source or parameter.status != "published", name


def test_presets_change_known_things() -> None:
    whole = simulation()
    for preset in whole.presets.values():
        assert set(preset.set) <= set(whole.parameters)
        assert set(preset.completed) <= {due.id for due in whole.battery}


def test_the_page_has_every_parameter_with_its_value() -> None:
    page = (ROOT / "docs/simulation.md").read_text("utf-8")
    for name, parameter in simulation().parameters.items():
        assert (
            f"| `{name}` | {shown(parameter.value)} | {parameter.says} | {parameter.status} | {parameter.source} |"
            in page
        )


def shown(value: object) -> str:
    """A value as the page shows it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    if isinstance(value, tuple):
        return ", ".join(f"{share:g}: {number:g}" for share, number in value)
    return f"{value:g}"


def test_a_preset_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="default, typical, ccmh-year"):
        Parameters("huge")


def test_values_come_as_what_they_are() -> None:
    p = Parameters()
    with pytest.raises(TypeError):
        p.number("site.size")
    with pytest.raises(TypeError):
        p.curve("therapist.clients")
    with pytest.raises(TypeError):
        p.named("site.size")


def test_the_page_has_every_target() -> None:
    page = (ROOT / "docs/simulation.md").read_text("utf-8")
    for name, target in simulation().targets.items():
        value, give = (f"{number:.{target.digits}f}" for number in (target.value, target.tolerance))
        assert f"| {target.says} | {value} | {give} | " in page, name
        assert f" | {target.source} |" in page, name
