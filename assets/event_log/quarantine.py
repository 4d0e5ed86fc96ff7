"""Sealed place for lines that were held back: readable by the steward only, never by a report."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from dyadlog.assets.event_log.records import sha256
from dyadlog.assets.event_log.storage import Storage
from dyadlog.schemas.catalogue import ID_PATTERN
from dyadlog.schemas.errors import LogDamagedError

_KEY = "line-hash.key"


class Held(NamedTuple):
    """A fact that was held back.

    Args:
        line_number: of its line in the file.
        fact: number of the fact in the line; 0 is the header of a table.
        codes: what is wrong, as `CODE@field`.
        text: the line.
        client_id: who it is about, where that could be read; the text of a table row may not say it, or say it of others.
    """

    line_number: int
    fact: int
    codes: list[str]
    text: str
    client_id: str | None = None


def client_of(said: object) -> str | None:
    """A pseudonym as a fact says it; None if it is none."""
    return str(said) if isinstance(said, (str, int)) and re.fullmatch(ID_PATTERN, str(said)) else None


class Quarantine:
    """Keeps the text of held-back lines and hashes them with a key of the study.

    Args:
        storage: a private storage.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._key: bytes | None = None

    def line_hash(self, text: str) -> bytes:
        """Keyed hash (HMAC-SHA-256): the same text can be recognised, but not guessed without the key."""
        if self._key is None:
            if not self._storage.exists(_KEY):
                self._storage.put(_KEY, secrets.token_bytes(32))
            self._key = self._storage.read(_KEY)
        return hmac.digest(self._key, text.encode(), "sha256")

    def keep(self, site_id: str, held: Sequence[Held]) -> str:
        """Store held-back facts durably.

        Args:
            site_id: the site.
            held: what was held back.

        Returns:
            SHA-256 of the stored bytes, which is also the file's name.
        """
        data = "".join(json.dumps(one._asdict(), ensure_ascii=False) + "\n" for one in held).encode()
        digest = sha256(data)
        self._storage.put(self.name_of(site_id, digest), data)
        return digest

    def remove(self, site_id: str, digest: str) -> None:
        """Take sealed lines away, durably."""
        self._storage.remove(self.name_of(site_id, digest))

    def names(self, site_id: str) -> list[str]:
        """SHA-256 of all sealed lines of a site, whether or not a commit refers to them."""
        return [name.split("/")[-1].removesuffix(".ndjson") for name in self._storage.names(site_id)]

    def remove_unfinished(self) -> None:
        """Take away what writers that died have left half-written."""
        self._storage.remove_unfinished()

    def lines(self, site_id: str, digest: str) -> list[Held]:
        """What `keep` stored.

        Raises:
            FileNotFoundError: nothing is stored under this name.
            LogDamagedError: it is not what was stored.
        """
        data = self.sealed(site_id, digest)
        if sha256(data) != digest:
            name = self.name_of(site_id, digest)
            raise LogDamagedError(f"quarantine/{name} has other bytes than were written")
        return [Held(**json.loads(line)) for line in data.splitlines()]

    def name_of(self, site_id: str, digest: str) -> str:
        """Name of sealed lines in the quarantine."""
        return f"{site_id}/{digest}.ndjson"

    def sealed(self, site_id: str, digest: str) -> bytes:
        """Sealed lines. Raises FileNotFoundError."""
        return self._storage.read(self.name_of(site_id, digest))
