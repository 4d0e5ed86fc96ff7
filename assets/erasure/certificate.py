"""What can be shown of an erasure: what was touched and what is left to others, without saying who it was."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.event_log.storage import write_durably
from dyadlog.schemas.study import Study

_STYLE = "body{font:1rem/1.5 serif;max-width:46rem;margin:2rem auto}td,th{text-align:left;padding:0 1rem 0 0;vertical-align:top}code{font-size:.8rem}"


@dataclass(frozen=True)
class Certificate:
    """An erasure for paper.

    The person is named by the keyed hash of the block list only: who holds the study's key and the pseudonym can tell
    that they belong together, nobody else can.

    Args:
        study: id of the study.
        title: its title.
        commit: the erasure.
        sha256: of the commit's bytes.
        tag: keyed hash of the person.
        removed: places outside the log from which something was removed, in words.
        todo: what is left to do, in words.
    """

    study: str
    title: str
    commit: Commit
    sha256: str
    tag: str
    removed: list[str]
    todo: list[str]

    def rows(self) -> list[tuple[str, str]]:
        """What the certificate says, line by line."""
        assert self.commit.act is not None
        assert self.commit.change is not None
        act, change = self.commit.act, self.commit.change
        deliveries = ", ".join(f"{less.commit} ({less.lines} lines)" for less in change.less) or "none"
        return [
            ("Study", f"{self.study}: {self.title}"),
            ("Site", self.commit.receipt.site_id),
            ("Person", f"keyed hash {self.tag}"),
            ("Erased on", f"{self.commit.received_at} as commit {self.commit.seq}, SHA-256 {self.sha256}"),
            ("By", act.by),
            ("Why", act.why),
            ("Facts taken out", str(sum(less.facts for less in change.less))),
            ("Commits that held them", deliveries),
            (
                "Segments replaced or removed",
                str(sum(len(swap.old) for swap in change.segments) + len(change.unused)),
            ),
            ("Sealed files replaced or removed", str(len(change.sealed))),
        ]

    def text(self) -> str:
        """For a terminal."""
        lines = [f"{name}: {said}" for name, said in self.rows()]
        lines += [f"removed: {what}" for what in self.removed]
        return "\n".join([*lines, *(f"to do: {what}" for what in self.todo)])

    def html(self) -> str:
        """For printing."""
        told = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(said)}</td></tr>" for name, said in self.rows()
        )
        removed = (
            "".join(f"<li><code>{escape(what)}</code></li>" for what in self.removed) or "<li>nothing</li>"
        )
        todo = "".join(f"<li>{escape(what)}</li>" for what in self.todo)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Certificate of erasure</title>'
            f"<style>{_STYLE}</style><h1>Certificate of erasure</h1><table>{told}</table>"
            f"<h2>Removed besides</h2><ul>{removed}</ul><h2>Left to do</h2><ul>{todo}</ul>"
            "<p>What stays in the log: hashes of the rows, made with random salts that are gone, so that the rest can "
            "still be proved; of each delivery its name, size, hash and counts; the keyed hashes that keep the person "
            "out.</p><p>Signed: ____________________</p></html>\n"
        )


def certificate_file(study: Study, seq: int) -> Path:
    """Where the certificate of an erasure lies, or will lie: writing it is the last step."""
    return study.folder / "erasures" / f"{seq:012d}.html"


def keep(study: Study, certificate: Certificate) -> Path:
    """Write a certificate to `erasures/`; one that is there is replaced by what holds now."""
    path = certificate_file(study, certificate.commit.seq)
    write_durably(path, certificate.html().encode())
    path.with_suffix(".cleared").unlink(missing_ok=True)
    return path
