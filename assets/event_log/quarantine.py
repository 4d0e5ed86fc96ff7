"""Sealed place for lines that were held back: readable by the steward only, never by a report."""

from __future__ import annotations

import hmac
import json
import secrets

from dyadlog.assets.event_log.records import sha256
from dyadlog.assets.event_log.storage import Storage
from dyadlog.schemas.errors import LogDamagedError

_KEY = "line-hash.key"


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

    def keep(self, site_id: str, held: list[tuple[int, int, list[str], str]]) -> str:
        """Store held-back facts durably.

        Args:
            site_id: the site.
            held: line number, fact number, codes, text; the header of a table as fact 0.

        Returns:
            SHA-256 of the stored bytes, which is also the file's name.
        """
        data = "".join(
            json.dumps({"line_number": line, "fact": fact, "codes": codes, "text": text}, ensure_ascii=False)
            + "\n"
            for line, fact, codes, text in held
        ).encode()
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

    def lines(self, site_id: str, digest: str) -> list[tuple[int, int, list[str], str]]:
        """What `keep` stored.

        Raises:
            FileNotFoundError: nothing is stored under this name.
            LogDamagedError: it is not what was stored.
        """
        data = self.sealed(site_id, digest)
        if sha256(data) != digest:
            name = self.name_of(site_id, digest)
            raise LogDamagedError(f"quarantine/{name} has other bytes than were written")
        told = [json.loads(line) for line in data.splitlines()]
        return [(one["line_number"], one["fact"], one["codes"], one["text"]) for one in told]

    def name_of(self, site_id: str, digest: str) -> str:
        """Name of sealed lines in the quarantine."""
        return f"{site_id}/{digest}.ndjson"

    def sealed(self, site_id: str, digest: str) -> bytes:
        """Sealed lines. Raises FileNotFoundError."""
        return self._storage.read(self.name_of(site_id, digest))
