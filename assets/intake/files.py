"""Reading what lies in a landing folder: whole files, strictly, within limits, never through links."""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dyadlog.schemas.protocol import Limits
from dyadlog.schemas.study import Study

# Bytes read and checked at a time; a file with a longer line than `ENDLESS` (or the study's own limit) is refused.
BLOCK = 32 << 20
GZIP_PIECE = 64 << 10
ENDLESS = 64 << 20
EVENT_ENDINGS = (".ndjson", ".jsonl")
TABLE_ENDINGS = (".csv", ".tsv", ".txt")
UNFINISHED_ENDINGS = (".part", ".tmp", ".filepart", ".crdownload")


class FileRefusedError(Exception):
    """The file as a whole cannot be read.

    Args:
        code: the reason code.
        fields: names, from the mapping, of what is missing; never a name that only the file holds.
    """

    def __init__(self, code: str, fields: Sequence[str] = ()) -> None:
        self.code = code
        self.fields = fields
        super().__init__(code)


@dataclass(frozen=True)
class Landed:
    """A file in a landing folder."""

    site_id: str
    path: Path
    size: int
    stamp: tuple[int, int, int]

    @property
    def name(self) -> str:
        """Name within the site's folder."""
        return self.path.name


@dataclass(frozen=True)
class Landing:
    """What lies in all landing folders.

    Args:
        files: files to look at, by site and name.
        unfinished: site and name of files that are still being copied (by their ending).
        strangers: names in `landing/` that are no site of the study.
    """

    files: list[Landed]
    unfinished: list[tuple[str, str]]
    strangers: list[str]


def scan(study: Study) -> Landing:
    """List the landing folders. Hidden entries and folders inside a site's folder are not read."""
    root = study.folder / "landing"
    landing = Landing([], [], [])
    if not root.is_dir():
        return landing
    known = set(study.site_ids)
    landing.strangers.extend(
        sorted(
            entry.name
            for entry in root.iterdir()
            if entry.name not in known and not entry.name.startswith(".")
        )
    )
    for site_id in sorted(known):
        folder = root / site_id
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.name.startswith(".") or entry.is_dir(follow_symlinks=False):
                    continue
                if entry.name.endswith(UNFINISHED_ENDINGS):
                    landing.unfinished.append((site_id, entry.name))
                    continue
                state = entry.stat(follow_symlinks=False)
                stamp = (state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
                landing.files.append(Landed(site_id, Path(entry.path), state.st_size, stamp))
    return landing


def kind_of(name: str) -> str:
    """`events` or `table`, by the ending of the file name.

    Raises:
        FileRefusedError: FILE_TYPE_UNKNOWN.
    """
    plain = name.lower().removesuffix(".gz")
    if plain.endswith(EVENT_ENDINGS):
        return "events"
    if plain.endswith(TABLE_ENDINGS):
        return "table"
    raise FileRefusedError("FILE_TYPE_UNKNOWN")


class Reader:
    """Reads one file in blocks of whole lines of valid UTF-8.

    Args:
        path: the file.
        limits: caps of the study.

    Attributes:
        size: bytes read from the file so far.
        sha256: SHA-256 of these bytes (of the compressed ones for gzip).
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of what was read so far, as hexadecimal text."""
        return self._hash.hexdigest()

    def drain(self) -> None:
        """Read the whole file for its size and hash only (a file that is refused by its name)."""
        for _ in self._raw(BLOCK):
            pass

    def blocks(self) -> Iterator[memoryview]:
        """Blocks that end with a line break (the last one may lack it); a byte-order mark is dropped.

        Raises:
            FileRefusedError: FILE_IS_LINK, FILE_UNREADABLE, FILE_TOO_LARGE, FILE_TOO_COMPRESSED, FILE_NOT_UTF8.
        """
        pieces: list[bytes] = []
        size = 0
        first = True
        for piece in self._inflated() if self._path.name.lower().endswith(".gz") else self._raw(BLOCK):
            pieces.append(piece)
            size += len(piece)
            if size < BLOCK:
                continue
            block = self._block(pieces, first=first)
            cut = block.rfind(b"\n") + 1
            if cut:
                yield _utf8(block, cut)
            pieces = [block[cut:]]
            size = len(block) - cut
            first = False
        block = self._block(pieces, first=first)
        if block:
            yield _utf8(block, len(block))

    def _block(self, pieces: list[bytes], *, first: bool) -> bytes:
        block = b"".join(pieces)
        if first:
            block = block.removeprefix(codecs.BOM_UTF8)
        # Pieces are shorter than this, so that only the first line of a block, begun in the block before, can be
        # so long; it is refused before it fills memory.
        longest = max(ENDLESS, self._limits.line_kilobytes * 1024)
        if len(block) > longest and block.find(b"\n", 0, longest + 1) < 0:
            raise FileRefusedError("FILE_UNREADABLE")
        return block

    def _raw(self, length: int) -> Iterator[bytes]:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise FileRefusedError("FILE_IS_LINK" if self._path.is_symlink() else "FILE_UNREADABLE") from None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileRefusedError("FILE_IS_LINK")
            cap = self._limits.file_megabytes << 20
            while piece := os.read(handle, length):
                self.size += len(piece)
                self._hash.update(piece)
                if self.size > cap:
                    raise FileRefusedError("FILE_TOO_LARGE")
                yield piece
        except OSError:
            raise FileRefusedError("FILE_UNREADABLE") from None
        finally:
            os.close(handle)

    def _inflated(self) -> Iterator[bytes]:
        """The text of a gzip file, which may hold several members, one after the other."""
        inflate = zlib.decompressobj(wbits=31)
        begun = False
        out = 0
        cap = self._limits.file_megabytes << 20
        # Small pieces: what is left of a piece is copied at the end of every member.
        for piece in self._raw(GZIP_PIECE):
            while piece or begun:
                if not begun:
                    piece = piece.lstrip(b"\0")  # padding between members
                    if not piece:
                        break
                    inflate = zlib.decompressobj(wbits=31)
                    begun = True
                try:
                    text = inflate.decompress(piece, BLOCK)
                except zlib.error:
                    raise FileRefusedError("FILE_UNREADABLE") from None
                out += len(text)
                if out > cap:
                    raise FileRefusedError("FILE_TOO_LARGE")
                if out > 1 << 20 and out > self.size * self._limits.compression_ratio:
                    raise FileRefusedError("FILE_TOO_COMPRESSED")
                yield text
                if inflate.eof:
                    piece, begun = inflate.unused_data, False
                elif len(text) < BLOCK and not inflate.unconsumed_tail:
                    break
                else:
                    piece = inflate.unconsumed_tail
        if begun:
            raise FileRefusedError("FILE_UNREADABLE")


def _utf8(block: bytes, end: int) -> memoryview:
    """The block up to `end`, not copied."""
    view = memoryview(block)[:end]
    if not block.isascii():
        try:
            str(view, "utf-8")
        except UnicodeDecodeError:
            raise FileRefusedError("FILE_NOT_UTF8") from None
    return view
