"""The study protocol, `study.yaml`, as one checked object."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from dyadlog.schemas.catalogue import ID_PATTERN, EventType, catalogue
from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.instruments import (
    Occasion,
    Rater,
    Registry,
    Version,
    parse_instrument,
    shipped_instruments,
)
from dyadlog.schemas.judging import judging_mistakes, outcome_rules, sudden_rules
from dyadlog.schemas.mapping import Emit, Mapping
from dyadlog.schemas.norms import NormRegistry, add_norms, shipped_norms
from dyadlog.schemas.rules import OutcomeRule
from dyadlog.schemas.sudden import SuddenRule
from dyadlog.schemas.yamlfile import KeyPath, Listed, Strict, YamlFile, read_yaml, show, validate


def _name(value: str) -> str:
    if not re.match(ID_PATTERN, value):
        raise ValueError('a name of letters, digits, ".", "_" and "-", at most 64 long')
    return value


Name = Annotated[str, AfterValidator(_name)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Site(Strict):
    """One clinic; its files lie in `landing/<id>/`. `mappings` are files beside study.yaml."""

    id: Name
    name: str | None = None
    mappings: Listed[str] = ()


class Every(Strict):
    """Every n-th session, counted from `start`."""

    every: Positive
    start: Annotated[int, Field(ge=0)] = 1


class Measure(Strict):
    """One questionnaire of the protocol: who fills in which form, when.

    `sessions` says after or before which held sessions it is due; at `intake` and `end` it is due once.
    """

    id: Name
    instrument: str
    version: str
    rater: Rater
    occasion: Occasion
    role: Literal["alliance", "outcome", "process"]
    sessions: Literal["all", "once"] | Listed[int] | Every = "all"


class Thresholds(Strict):
    """Figures that decide; all are stored in the marts beside what they decided.

    `rupture_drop_k`: size of a rupture drop in SD of the client's own ratings (methods.md 2c, own-SD rule).
    `rupture_min_ratings`: ratings a client needs before the own SD is used.
    `not_on_track_z`: SDs by which a change must be worse than that of similar clients (marts.not_on_track_local).
    `not_on_track_min`: other clients that such a comparison needs.
    `completeness_warn`: share of expected forms below which a site's report warns.
    `completeness_min_expected`: expected forms below which nothing is said.
    `keying_min_forms`: complete forms a site needs before anything is said about its reversed items.
    `coder_drift_ratio`: how many times more than the other coder one marks in double-coded sessions before it is said.
    `peers_min`: of what is compared with other sites, the number a site needs before anything is said.
    `peers_sites`: other sites that a comparison needs; with fewer, one of them could be recognised.
    `quiet_days`: days without a delivery that are remarked.
    `last_night_hours`: hours after which `dyadlog status` calls the last good night too old.
    """

    rupture_drop_k: Annotated[float, Field(gt=0)] = 1.0
    rupture_min_ratings: Annotated[int, Field(ge=3)] = 4
    not_on_track_z: Annotated[float, Field(gt=0)] = 1.0
    not_on_track_min: Annotated[int, Field(ge=2)] = 20
    completeness_warn: Share = 0.8
    completeness_min_expected: Positive = 10
    keying_min_forms: Positive = 20
    coder_drift_ratio: Annotated[int, Field(ge=1)] = 2
    peers_min: Positive = 20
    peers_sites: Annotated[int, Field(ge=5)] = 5
    quiet_days: Positive = 7
    last_night_hours: Annotated[float, Field(gt=0)] = 30.0


class Dropout(Strict):
    """Figures of the definitions of drop-out (marts.dropout).

    `outcome_rule`: rule that says who left without improvement; the first of the study where none is named.
    `few_sessions`: sessions held from which a course is no longer short. `protocol_sessions`: sessions the protocol
    foresees. `landmark`: session up to which ratings may predict drop-out.
    """

    outcome_rule: str | None = None
    few_sessions: Positive = 4
    protocol_sessions: Positive | None = None
    landmark: Positive = 2


class Limits(Strict):
    """Caps on what a file may do to the machine."""

    file_megabytes: Positive = 2048
    line_kilobytes: Positive = 1024
    compression_ratio: Positive = 200


class Protocol(Strict):
    """What `study.yaml` says.

    `time_basis: absolute` allows calendar times and needs a `legal_basis`. `instruments` and `norms` name files beside
    study.yaml. Without `outcomes`, instruments with published points are judged by them; likewise `sudden_gains` for
    those that are due before sessions. `log_storage` puts the event log on an object store; by default it lies in the
    study folder.
    """

    study: Name
    title: str
    simulated: bool = False
    time_basis: Literal["study_day", "absolute"] = "study_day"
    legal_basis: str | None = None
    sites: Annotated[Listed[Site], Field(min_length=1)]
    instruments: Listed[str] = ()
    norms: Listed[str] = ()
    measures: Listed[Measure] = ()
    outcomes: Listed[OutcomeRule] | None = None
    sudden_gains: Listed[SuddenRule] | None = None
    dropout: Dropout = Dropout()
    thresholds: Thresholds = Thresholds()
    limits: Limits = Limits()
    log_storage: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[\w./-]+)?$")] | None = None
    nightly_at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "02:00"

    @model_validator(mode="after")
    def _legal(self) -> Protocol:
        if self.time_basis == "absolute" and not self.legal_basis:
            raise ValueError("a `legal_basis` beside `time_basis: absolute`")
        return self


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
    def rupture_drop_k(self) -> Decimal:
        """The rupture threshold as an exact number."""
        return Decimal(str(self.protocol.thresholds.rupture_drop_k))


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
    return problems + judging_mistakes(file, protocol, study.instruments, study.norms)
