"""Events of observers and interviewers, written short."""

from __future__ import annotations

from typing import Any


def passage(kind: str, number: int, name: str = "c1", nth: int = 1, **payload: Any) -> dict[str, Any]:
    return {
        "event_id": f"{kind}-{name}-{number}-{nth}",
        "event_type": kind,
        "client_id": name,
        "session_number": number,
        "actor_id": payload.pop("actor", "coder-1"),
        "payload": payload,
    }


def code(number: int, family: str, *, role: str = "primary", nth: int = 1, **more: Any) -> dict[str, Any]:
    said = {"scheme": "3rs", "coding_role": role, "code": "x", "family": family} | more
    return passage("coding.segment", number, nth=nth, **said)


def coded(number: int, *, role: str = "primary", **more: Any) -> dict[str, Any]:
    return passage("coding.pass", number, nth=role, **{"scheme": "3rs", "coding_role": role} | more)  # type: ignore[arg-type]
