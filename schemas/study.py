"""The study protocol, `study.yaml`, as one checked object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dyadlog.schemas.catalogue import EventType, catalogue
from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.instruments import (
    Registry,
    Version,
    parse_instrument,
    shipped_instruments,
)
from dyadlog.schemas.judging import judging_mistakes, outcome_rules, sudden_rules
from dyadlog.schemas.mapping import Emit, Mapping
from dyadlog.schemas.norms import NormRegistry, add_norms, shipped_norms
from dyadlog.schemas.protocol import Protocol
from dyadlog.schemas.rules import OutcomeRule
from dyadlog.schemas.ruptures import RuptureRule, default_rules
from dyadlog.schemas.sudden import SuddenRule
from dyadlog.schemas.yamlfile import KeyPath, YamlFile, read_yaml, show, validate


@dataclass(frozen=True)
class Study:
    """A study folder with its checked protocol.

    Args:
        folder: the study folder.
        protocol: what study.yaml says.
        instruments: shipped instruments and the study's own.
        norms: shipped norm sets and the study's own.
        mappings: mapping files by name.
        rules_digest: SHA-256 over study.yaml and all files it names; changes when a rule changes.
    """

    folder: Path
    protocol: Protocol
    instruments: Registry
    norms: NormRegistry
    mappings: dict[str, Mapping]
    rules_digest: str

    @property
    def site_ids(self) -> list[str]:
        """Ids of the sites in the order of study.yaml."""
        return [site.id for site in self.protocol.sites]

    def site_mappings(self, site_id: str) -> list[Mapping]:
        """The mappings of a site, in order; the first whose `files` fits a name is used."""
        for site in self.protocol.sites:
            if site.id == site_id:
                return [self.mappings[name] for name in site.mappings]
        raise KeyError(site_id)

    def form(self, instrument: str, version: str) -> Version | None:
        """The registered version of an instrument."""
        known = self.instruments.get(instrument)
        return known.versions.get(version) if known else None

    @property
    def outcome_rules(self) -> list[OutcomeRule]:
        """The rules by which outcomes are judged."""
        return outcome_rules(self.protocol, self.norms)

    @property
    def sudden_rules(self) -> list[SuddenRule]:
        """The rules for sudden gains and losses."""
        return sudden_rules(self.protocol, self.norms)

    @property
    def rupture_rules(self) -> list[RuptureRule]:
        """The rules that call a session a rupture."""
        return default_rules() if self.protocol.ruptures is None else list(self.protocol.ruptures)


def read_study(where: Path) -> Study:
    """Read and check `study.yaml` and every file it names.

    Args:
        where: the study folder, or the path of a study.yaml.

    Raises:
        StudyError: with one sentence per mistake: file, line, key, what was found, what is expected.
    """
    path = where if where.suffix in (".yaml", ".yml") else where / "study.yaml"
    if not path.exists():
        raise StudyError(
            [
                f"{path}: there is no study here; `dyadlog init {where}` makes one, or name another folder with -s"
            ]
        )
    file = read_yaml(path)
    protocol = validate(Protocol, file)
    folder = path.parent
    digest = hashlib.sha256(path.read_bytes())
    problems: list[str] = []

    registry = dict(shipped_instruments())
    for index, name in enumerate(protocol.instruments):
        own = _named_file(file, folder, name, ("instruments", index), problems)
        if own is not None:
            _collect(problems, lambda own=own: _add_instrument(registry, read_yaml(own)))  # type: ignore[misc]
            digest.update(own.read_bytes())

    norms = shipped_norms()
    for index, name in enumerate(protocol.norms):
        own = _named_file(file, folder, name, ("norms", index), problems)
        if own is not None:
            try:
                norms = add_norms(norms, [read_yaml(own)])
            except StudyError as error:
                problems += error.problems
            digest.update(own.read_bytes())

    mappings: dict[str, Mapping] = {}
    for index, site in enumerate(protocol.sites):
        for nth, name in enumerate(site.mappings):
            if name in mappings:
                continue
            named = _named_file(file, folder, name, ("sites", index, "mappings", nth), problems)
            if named is not None:
                _collect(problems, lambda named=named, name=name: _add_mapping(mappings, name, named))  # type: ignore[misc]
                digest.update(named.read_bytes())

    study = Study(folder, protocol, registry, norms, mappings, digest.hexdigest())
    problems += _cross_check(file, study)
    if problems:
        raise StudyError(problems)
    return study


def _collect(problems: list[str], step: Callable[[], None]) -> None:
    try:
        step()
    except StudyError as error:
        problems += error.problems


def _named_file(file: YamlFile, folder: Path, name: str, at: KeyPath, problems: list[str]) -> Path | None:
    path = (folder / name).resolve()
    where = f"{file.name}:{file.line(at)}: key `{show(at)}`"
    if not path.is_relative_to(folder.resolve()):
        problems.append(f"{where}: found {name!r}, expected a file inside the study folder")
        return None
    if not path.is_file():
        problems.append(f"{where}: found {name!r}, but there is no such file beside study.yaml")
        return None
    return path


def _add_instrument(registry: Registry, file: YamlFile) -> None:
    instrument = parse_instrument(file)
    registry[instrument.instrument] = instrument


def _add_mapping(mappings: dict[str, Mapping], name: str, path: Path) -> None:
    file = read_yaml(path)
    mapping = validate(Mapping, file)
    problems = []
    for index, emit in enumerate(mapping.events):
        problems += [
            f"{file.name}:{file.line(('events', index, *at))}: key `{show(('events', index, *at))}`: {what}"
            for at, what in _emit_mistakes(emit)
        ]
    if problems:
        raise StudyError(problems)
    mappings[name] = mapping


def _emit_mistakes(emit: Emit) -> Sequence[tuple[KeyPath, str]]:
    known = catalogue()
    event = known.events.get(emit.event_type)
    if event is None:
        return [(("event_type",), f"found {emit.event_type!r}, expected a kind of event of the catalogue")]
    version = emit.schema_version or event.newest
    if version not in event.versions:
        return [(("schema_version",), f"found {version}, expected a version from 1 to {event.newest}")]
    fields = event.versions[version]
    return [
        (("envelope", name), "not a field of the envelope")
        for name in emit.envelope
        if name not in known.envelope
    ] + [
        (
            ("payload", name),
            f"not a field of {emit.event_type} version {version}{_elsewhere(name, event, version)}",
        )
        for name in emit.payload
        if name not in fields
    ]


def _elsewhere(name: str, event: EventType, version: int) -> str:
    known = [number for number, fields in event.versions.items() if name in fields and number != version]
    return f"; version {known[-1]} has it: say `schema_version: {known[-1]}`" if known else ""


def _cross_check(file: YamlFile, study: Study) -> list[str]:
    """Mistakes that show only when two parts of the protocol are seen together."""
    protocol, problems = study.protocol, []

    def mistake(at: KeyPath, text: str) -> None:
        problems.append(f"{file.name}:{file.line(at)}: key `{show(at)}`: {text}")

    for part, names in (("sites", study.site_ids), ("measures", [m.id for m in protocol.measures])):
        for index, name in enumerate(names):
            if name in names[:index]:
                mistake((part, index, "id"), f"found {name!r} a second time, expected each id once")
    for index, measure in enumerate(protocol.measures):
        known = study.instruments.get(measure.instrument)
        if known is None:
            names_known = ", ".join(sorted(study.instruments))
            mistake(
                ("measures", index, "instrument"),
                f"found {measure.instrument!r}, expected one of {names_known}",
            )
        elif measure.version not in known.versions:
            versions = ", ".join(known.versions)
            mistake(("measures", index, "version"), f"found {measure.version!r}, expected one of {versions}")
        elif measure.rater not in known.versions[measure.version].raters:
            raters = ", ".join(known.versions[measure.version].raters)
            mistake(("measures", index, "rater"), f"found {measure.rater!r}, expected one of {raters}")
        if measure.sessions == "once" and measure.occasion.endswith(("_session", "_sessions")):
            mistake(
                ("measures", index, "sessions"),
                f"found 'once', expected all, a list of session numbers or {{every: n}} for {measure.occasion}",
            )
    for index, name in enumerate(protocol.interviews.sites if protocol.interviews else ()):
        if name not in study.site_ids:
            sites_known = ", ".join(study.site_ids)
            mistake(("interviews", "sites", index), f"found {name!r}, expected one of {sites_known}")
    return problems + judging_mistakes(file, protocol, study.instruments, study.norms)
