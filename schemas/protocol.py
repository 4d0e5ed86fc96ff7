"""What `study.yaml` says, part by part."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from dyadlog.schemas.alliance import Alliance
from dyadlog.schemas.catalogue import ID_PATTERN
from dyadlog.schemas.instruments import Occasion, Rater
from dyadlog.schemas.notify import Notify
from dyadlog.schemas.rules import OutcomeRule
from dyadlog.schemas.ruptures import RuptureRule
from dyadlog.schemas.sudden import SuddenRule
from dyadlog.schemas.yamlfile import Listed, Strict


def _name(value: str) -> str:
    if not re.match(ID_PATTERN, value):
        raise ValueError('a name of letters, digits, ".", "_" and "-", at most 64 long')
    return value


Name = Annotated[str, AfterValidator(_name)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


# Names in `reports/` that are no site's.
TAKEN = ("study", "index.html", "night.json")


class Site(Strict):
    """One clinic; its files lie in `landing/<id>/`. `mappings` are files beside study.yaml."""

    id: Name
    name: str | None = None
    mappings: Listed[str] = ()

    @field_validator("id")
    @classmethod
    def _free(cls, value: str) -> str:
        if value in TAKEN:
            raise ValueError(f"another name than {value}, which the study team's own reports have")
        return value


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

    `rupture_min_ratings`: ratings a course needs before its own spread is used (rules for ruptures).
    `not_on_track_z`: SDs by which a change must be worse than that of similar clients (marts.not_on_track_local).
    `not_on_track_min`: other clients that such a comparison needs.
    `completeness_warn`: share of expected forms below which a site's report warns.
    `completeness_min_expected`: expected forms below which nothing is said.
    `keying_min_forms`: complete forms a site needs before anything is said about its reversed items.
    `coder_drift_ratio`: how many times more than the other coder one marks in double-coded sessions before it is said.
    `coder_band_sessions`: double-coded sessions of a coder that are taken together (marts.coder_drift).
    `coder_kappa_least`: kappa of two coders below which it is said (0.4: Fleiss 1981, "poor" below).
    `coder_kappa_min`: double-coded sessions of both coders that this needs.
    `score_jump`: share of the answer range by which a mean answer must leap from one session to the next before it is said.
    `client_twice_min`: same forms of two clients at the same sessions before it is said.
    `shift_sessions`: sessions up to which a score counts as one of the beginning (quality.first_score).
    `shift_days`: days before the newest delivery that are compared, as lately, with all before.
    `shift_distance`: difference of the shares of scores up to a value (0 to 1) below which nothing is said, however sure.
    `peers_min`: of what is compared with other sites or with before, the number a site needs before anything is said.
    `peers_sites`: other sites that a comparison needs; with fewer, one of them could be recognised.
    `quiet_days`: days without a delivery that are remarked.
    `last_night_hours`: hours after which `dyadlog status` calls the last good night too old.
    """

    rupture_min_ratings: Annotated[int, Field(ge=3)] = 4
    not_on_track_z: Annotated[float, Field(gt=0)] = 1.0
    not_on_track_min: Annotated[int, Field(ge=2)] = 20
    completeness_warn: Share = 0.8
    completeness_min_expected: Positive = 10
    keying_min_forms: Positive = 20
    coder_drift_ratio: Annotated[int, Field(ge=1)] = 2
    coder_band_sessions: Annotated[int, Field(ge=2)] = 10
    coder_kappa_least: Share = 0.4
    coder_kappa_min: Annotated[int, Field(ge=5)] = 10
    score_jump: Share = 0.75
    client_twice_min: Annotated[int, Field(ge=2)] = 3
    shift_sessions: Positive = 3
    shift_days: Positive = 28
    shift_distance: Share = 0.2
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


WithdrawalMode = Literal["stop_future", "exclude", "erase"]


class Consent(Strict):
    """What the legal basis of the study allows when a client withdraws consent, from the mildest to the strongest.

    A withdrawal that asks for more than `withdrawals` lists is honoured as the strongest of them that is milder.
    """

    withdrawals: Listed[WithdrawalMode] = ("stop_future", "exclude", "erase")

    @model_validator(mode="after")
    def _always_stops(self) -> Consent:
        if "stop_future" not in self.withdrawals:
            raise ValueError("`stop_future` among `withdrawals`: no withdrawal can be passed over")
        return self

    def honoured(self) -> dict[WithdrawalMode, WithdrawalMode]:
        """What is done for what a withdrawal asks."""
        order: tuple[WithdrawalMode, ...] = ("stop_future", "exclude", "erase")
        return {
            asked: max((m for m in self.withdrawals if order.index(m) <= number), key=order.index)
            for number, asked in enumerate(order)
        }


class Compaction(Strict):
    """When a night merges a site's small segments into one: from `segments` on; the old files stay `grace_days`."""

    segments: Annotated[int, Field(ge=2)] = 64
    grace_days: Annotated[int, Field(ge=0)] = 7


class Interviews(Strict):
    """Recall interviews that the protocol plans: about which sessions, with whom, at which sites (all by default).

    `clients`: `asked` (those of whom any interview is reported) or `all` who have a session.
    """

    sessions: Annotated[Listed[Positive], Field(min_length=1)]
    perspectives: Annotated[Listed[Literal["client", "therapist"]], Field(min_length=1)] = (
        "client",
        "therapist",
    )
    clients: Literal["asked", "all"] = "asked"
    sites: Listed[Name] = ()


class Limits(Strict):
    """Caps on what a file may do to the machine."""

    file_megabytes: Positive = 2048
    line_kilobytes: Positive = 1024
    compression_ratio: Positive = 200


class Protocol(Strict):
    """What `study.yaml` says.

    `shared_therapist_ids`: an id of a therapist means the same person at every site. `interviews`: recall interviews.

    `time_basis: absolute` allows calendar times and needs a `legal_basis`. `instruments` and `norms` name files beside
    study.yaml. Without `outcomes`, instruments with published points are judged by them; likewise `sudden_gains` for
    those that are due before sessions, and without `ruptures` the usual rules (`ruptures.yaml`) look at every alliance
    rating. `alliance` changes figures of `alliance.yaml`. `log_storage` puts the event log on an object store; by default it lies in the
    study folder.
    """

    study: Name
    title: str
    simulated: bool = False
    time_basis: Literal["study_day", "absolute"] = "study_day"
    legal_basis: str | None = None
    sites: Annotated[Listed[Site], Field(min_length=1)]
    shared_therapist_ids: bool = False
    instruments: Listed[str] = ()
    norms: Listed[str] = ()
    measures: Listed[Measure] = ()
    interviews: Interviews | None = None
    outcomes: Listed[OutcomeRule] | None = None
    sudden_gains: Listed[SuddenRule] | None = None
    dropout: Dropout = Dropout()
    alliance: Alliance = Field(default_factory=lambda: Alliance.model_validate({}))
    ruptures: Listed[RuptureRule] | None = None
    thresholds: Thresholds = Thresholds()
    limits: Limits = Limits()
    consent: Consent = Consent()
    compaction: Compaction = Compaction()
    notify: Notify = Notify()
    log_storage: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[\w./-]+)?$")] | None = None
    nightly_at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "02:00"

    @model_validator(mode="after")
    def _legal(self) -> Protocol:
        if self.time_basis == "absolute" and not self.legal_basis:
            raise ValueError("a `legal_basis` beside `time_basis: absolute`")
        return self
