"""The signed head of the log, kept outside the log, and the study's key that signs it.

A chain alone cannot tell that its end was cut off, or that somebody went on where it ended. So each commit is
signed, and after each night the head is signed once more, as a note in `witness/` that can be copied anywhere.
"""

from __future__ import annotations

from pathlib import Path

from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.event_log.notes import NoteError, Signer, Verifier, new_key
from dyadlog.assets.event_log.records import Commit, commit_name
from dyadlog.assets.event_log.storage import LocalStorage, write_durably
from dyadlog.schemas.errors import LogDamagedError, UserError

KEY = "signing.key"
VERIFIER = "verifier.txt"
NOTE = "head.note"


class Witness:
    """Signs commits and heads, and checks what was signed.

    Args:
        folder: the study folder; the key lies in `keys/`, what it signed in `witness/`.
        study: id of the study, part of the key's name.
    """

    def __init__(self, folder: Path, study: str) -> None:
        self._keys = LocalStorage(folder / "keys", private=True)
        self._shown = LocalStorage(folder / "witness")
        self._name = f"dyadlog/{study}"
        self._signer: Signer | None = None

    def sign(self, data: bytes) -> str:
        """Signature in base64; makes the study's key when it is needed first.

        Raises:
            UserError: there was a key, but it is gone.
        """
        return self._key().sign(data)

    def head(self) -> Head | None:
        """The newest signed head, or None if none was signed yet.

        Raises:
            LogDamagedError: the note, or the key that it names, is not what was written.
        """
        if not self._shown.exists(NOTE) and not self._shown.exists(VERIFIER):
            return None
        try:
            text = self._verifier().text_of(self._read(self._shown, NOTE))
            name, seq, digest, end = text.split("\n")
            if name != self._name or end:
                raise NoteError
            return Head(int(seq), digest)
        except ValueError:
            raise LogDamagedError(f"witness/{NOTE}: not signed with the study's key") from None

    def begin(self, log: EventLog) -> None:
        """Make the key and sign the head, if this is the first time; else see that the log goes on from its signed head.

        Raises:
            LogDamagedError: something was added by somebody else, or cut off.
            UserError: there was a key, but it is gone.
        """
        key = self._key()
        if not self._shown.exists(VERIFIER):
            if not self._shown.exists(NOTE):
                self._write(log.head())
            self._shown.put(VERIFIER, key.verifier.encode())
        self.check(log)

    def check(self, log: EventLog) -> None:
        """See that the log goes on from the signed head, and that all after it is signed too.

        Raises:
            LogDamagedError: naming the file.
        """
        signed, head = self.head(), log.head()
        if signed is None or signed == head:
            return
        if head.seq < signed.seq:
            raise LogDamagedError(cut_off(head.seq, signed))
        if log.digest_of(signed.seq) != signed.sha256:
            raise LogDamagedError(f"{commit_name(signed.seq)}: has other bytes than were signed")
        for commit in log.commits()[signed.seq :]:
            self.check_signature(commit)

    def check_signature(self, commit: Commit) -> None:
        """Raise LogDamagedError unless a commit is signed with the study's key."""
        try:
            self._verifier().check(commit.signed_bytes(), commit.signature or "")
        except NoteError:
            raise LogDamagedError(f"{commit.name}: not signed with the study's key") from None

    def check_key(self) -> None:
        """Raise LogDamagedError if the key at hand is not the one whose public half is shown."""
        if self._keys.exists(KEY):
            try:
                fits = Signer(self._read(self._keys, KEY)).verifier == self._read(self._shown, VERIFIER)
            except NoteError:
                fits = False
            if not fits:
                raise LogDamagedError(f"keys/{KEY}: not the key of witness/{VERIFIER}")
        elif self._shown.exists(VERIFIER):
            raise LogDamagedError(f"keys/{KEY} is missing")

    def update(self, log: EventLog) -> None:
        """Sign the head of the log, after a look at what came since the last time.

        Raises:
            LogDamagedError: something was added by somebody else, or cut off.
        """
        head = log.head()
        if head.seq and self.head() != head:
            self.check(log)
            self._write(head)

    def _write(self, head: Head) -> None:
        note = self._key().note(f"{self._name}\n{head.seq}\n{head.sha256}\n")
        write_durably(Path(self._shown.locate(NOTE)), note.encode())

    def _key(self) -> Signer:
        if self._signer is None:
            if not self._keys.exists(KEY):
                if self._shown.exists(VERIFIER):
                    raise UserError(
                        f"keys/{KEY} is missing: put it back from a backup; or move the folder witness/ away to begin "
                        "with a new key, then only the sites' receipts prove what came before"
                    )
                self._keys.put(KEY, new_key(self._name).encode())
            try:
                self._signer = Signer(self._read(self._keys, KEY))
            except NoteError:
                raise UserError(f"keys/{KEY} is not a key: put it back from a backup") from None
        return self._signer

    def _verifier(self) -> Verifier:
        try:
            return Verifier(self._read(self._shown, VERIFIER))
        except NoteError:
            raise LogDamagedError(f"witness/{VERIFIER}: not a key") from None

    def _read(self, storage: LocalStorage, name: str) -> str:
        try:
            return storage.read(name).decode()
        except FileNotFoundError:
            raise LogDamagedError(f"{Path(storage.root).name}/{name} is missing") from None
        except UnicodeDecodeError:
            raise NoteError from None


def cut_off(last: int, signed: Head) -> str:
    """What is said of a log that is shorter than it was."""
    return f"{commit_name(last + 1)} is missing: the log ends with commit {last}, its signed head is commit {signed.seq}"
