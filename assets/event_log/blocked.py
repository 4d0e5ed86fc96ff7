"""Who was erased, told by keyed hashes: a person stays out, and the list does not say who is on it."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable

from dyadlog.assets.event_log.layout import Layout
from dyadlog.assets.event_log.quarantine import Held, client_of
from dyadlog.assets.event_log.storage import Storage
from dyadlog.schemas.errors import UserError

_KEY = "block-list.key"
_TOKEN = re.compile(r"[A-Za-z0-9._-]+")
# Digits of a tag: too many for two ids of a study to share them.
_DIGITS = 32


class BlockList:
    """Makes and knows the keyed hashes (HMAC-SHA-256) of what was erased.

    Args:
        keys: private storage of the study's keys.
    """

    def __init__(self, keys: Storage) -> None:
        self._keys = keys
        self._key: bytes | None = None

    def person(self, site_id: str, client_id: str) -> str:
        """Tag of a client of a site."""
        return self._tag(f"client\n{site_id}\n{client_id}")

    def fact(self, site_id: str, event_id: str) -> str:
        """Tag of one of the client's facts."""
        return self._tag(f"event\n{site_id}\n{event_id}")

    def _tag(self, text: str) -> str:
        if self._key is None:
            if not self._keys.exists(_KEY):
                self._keys.put(_KEY, secrets.token_bytes(32))
            self._key = self._keys.read(_KEY)
        return hmac.digest(self._key, text.encode(), "sha256").hex()[:_DIGITS]

    def of_site(self, layout: Layout, site_id: str) -> Blocked | None:
        """What was erased of a site; None if nothing was.

        Raises:
            UserError: the key is gone, so that nobody can tell who was erased.
        """
        tags = {tag for c in layout.erasures(site_id) if c.change for tag in c.change.blocked}
        if tags and not self._keys.exists(_KEY):
            raise UserError(
                f"keys/{_KEY} is missing: put it back from a backup, else erased persons would come back"
            )
        return Blocked(self, site_id, frozenset(tags)) if tags else None


class Blocked:
    """The persons of one site that were erased.

    Args:
        tags: makes the keyed hashes.
        site_id: the site.
        known: keyed hashes of the persons and their facts.
    """

    def __init__(self, tags: BlockList, site_id: str, known: frozenset[str]) -> None:
        self._tags, self._site, self._known = tags, site_id, known

    def clients(self, client_ids: Iterable[str]) -> set[str]:
        """Those that were erased."""
        return {one for one in client_ids if self._tags.person(self._site, one) in self._known}

    def holds(self, held: Held) -> bool:
        """Whether a refused line is about somebody who was erased."""
        return is_about(held, lambda one: bool(self.clients([one])), self._is_fact)

    def _is_fact(self, event_id: str) -> bool:
        return self._tags.fact(self._site, event_id) in self._known


def is_about(held: Held, is_client: Callable[[str], bool], is_fact: Callable[[str], bool]) -> bool:
    """Whether a refused line is about a person, as far as can be told: it may be no good line at all.

    A line that names another client is that one's; one that names several is everybody's of them. Of a line that names
    none, any word decides.

    Args:
        held: the line.
        is_client: tells the person's pseudonym.
        is_fact: tells the event ids of the person's facts.
    """
    if clients := {held.client_id} if held.client_id else _named(held.text):
        return any(map(is_client, clients))
    return any(is_client(word) or is_fact(word) for word in set(_TOKEN.findall(held.text)))


def _named(text: str) -> set[str]:
    """The clients that a line of JSON names; a key may stand there twice."""
    try:
        told = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return set()
    pairs = told if isinstance(told, list) else []
    said = [pair[1] for pair in pairs if isinstance(pair, tuple) and pair[0] == "client_id"]
    return {client for one in said if (client := client_of(one))}
