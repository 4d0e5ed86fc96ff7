"""Signed notes: a text and Ed25519 signatures under it, in the form of the Go checksum database.

<text, ends with a line break>

— <name> <base64 of the first 4 bytes of the key's hash and of the signature>
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_MARK = "— "


class NoteError(ValueError):
    """Not a note, or not signed with this key."""


class Verifier:
    """The public half of a key.

    Args:
        text: `<name>+<hash>+<base64 of the key>` and a line break.

    Raises:
        NoteError: it is not the text of a key.
    """

    def __init__(self, text: str) -> None:
        try:
            self.name, digest, coded = text.split("+", 2)
            key = _decoded(_line(coded))
            if key[:1] != _ED25519 or key_hash(self.name, key).hex() != digest:
                raise ValueError
            self._key = Ed25519PublicKey.from_public_bytes(key[1:])
        except ValueError:
            raise NoteError("not a key") from None
        self._hash = bytes.fromhex(digest)

    def check(self, data: bytes, signature: str) -> None:
        """Raise NoteError unless `signature` (base64) is this key's over `data`."""
        try:
            self._key.verify(_decoded(signature), data)
        except (InvalidSignature, ValueError):
            raise NoteError("the signature is not right") from None

    def text_of(self, note: str) -> str:
        """The text of a note that this key, and no other, has signed.

        Raises:
            NoteError: the note is not signed with this key.
        """
        text, found, signature = note.rpartition("\n\n")
        name, _, coded = signature.removeprefix(_MARK).removesuffix("\n").partition(" ")
        if not found or f"{_MARK}{name} {coded}\n" != signature or name != self.name:
            raise NoteError("not a note signed with this key")
        try:
            data = _decoded(coded)
        except ValueError:
            raise NoteError("not a note signed with this key") from None
        if data[:4] != self._hash:
            raise NoteError("not a note signed with this key")
        self.check(f"{text}\n".encode(), base64.b64encode(data[4:]).decode())
        return f"{text}\n"


class Signer:
    """The private half.

    Args:
        text: `PRIVATE+KEY+<name>+<hash>+<base64 of the key>` and a line break.

    Raises:
        NoteError: it is not the text of a key.
    """

    def __init__(self, text: str) -> None:
        try:
            private, key, self._name, digest, coded = text.split("+", 4)
            seed = _decoded(_line(coded))
            if (private, key, seed[:1]) != ("PRIVATE", "KEY", _ED25519):
                raise ValueError
            self._key = Ed25519PrivateKey.from_private_bytes(seed[1:])
            if self.verifier.split("+", 2)[1] != digest:
                raise ValueError
        except ValueError:
            raise NoteError("not a private key") from None

    @property
    def verifier(self) -> str:
        """Text of the public half."""
        key = _ED25519 + self._key.public_key().public_bytes_raw()
        return f"{self._name}+{key_hash(self._name, key).hex()}+{base64.b64encode(key).decode()}\n"

    def sign(self, data: bytes) -> str:
        """Signature in base64."""
        return base64.b64encode(self._key.sign(data)).decode()

    def note(self, text: str) -> str:
        """A text (ending with a line break) with the signature under it."""
        digest = bytes.fromhex(self.verifier.split("+", 2)[1])
        coded = base64.b64encode(digest + self._key.sign(text.encode())).decode()
        return f"{text}\n{_MARK}{self._name} {coded}\n"


def _line(text: str) -> str:
    if not text.endswith("\n"):
        raise ValueError("cut")
    return text[:-1]


def _decoded(coded: str) -> bytes:
    """Base64 in its one right form: Python alone would overlook foreign letters and bits behind the end."""
    data = base64.b64decode(coded, validate=True)
    if base64.b64encode(data).decode() != coded:
        raise ValueError("not base64")
    return data


def new_key(name: str) -> str:
    """Text of a new private key."""
    key = Ed25519PrivateKey.generate()
    digest = key_hash(name, _ED25519 + key.public_key().public_bytes_raw()).hex()
    return f"PRIVATE+KEY+{name}+{digest}+{base64.b64encode(_ED25519 + key.private_bytes_raw()).decode()}\n"


def key_hash(name: str, key: bytes) -> bytes:
    """The four bytes by which signatures name their key (`key` with its leading kind)."""
    return hashlib.sha256(f"{name}\n".encode() + key).digest()[:4]
