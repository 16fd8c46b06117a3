"""The audit log: one JSON object a line, each bound to the one before by SHA-256.

An entry has seq (from 1), time (UTC), event, fields, prev (the hash of the entry before, zeros for
the first) and hash: SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8) without hash.
What the chain cannot show is that its newest entries are missing: export the head for that.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from bmc_ext.clock import Clock, SystemClock, iso8601
from bmc_ext.errors import StateError

FILE_NAME: Final = "audit.jsonl"
MAX_ENTRY_BYTES: Final = 1_048_576
FIRST_PREV: Final = "0" * 64

_MEMBERS: Final = {"seq", "time", "event", "fields", "prev", "hash"}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `verify` found: `entries` good ones, and where and why the chain breaks, if it does.

    `torn_bytes` counts the bytes of an unfinished last line: a crash or a writer at work leaves
    one, and it is no break.
    """

    path: Path
    entries: int
    first_time: str | None
    last_time: str | None
    head: str
    broken_line: int | None = None
    reason: str | None = None
    torn_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether every complete line is in its place and unchanged."""
        return self.broken_line is None


class _Batch:
    """Entries that one write and one fdatasync bring to disk."""

    __slots__ = ("done", "error", "lines")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.done = False
        self.error: OSError | None = None


class AuditLog:
    """Appends to `directory/audit.jsonl`; append may be called from any thread.

    On start a torn last line is dropped and an entry `audit.torn_line_dropped` says so. StateError
    when the file cannot be used or its last entry is not one of ours.
    """

    def __init__(self, directory: Path, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._path = directory / FILE_NAME
        self._change = threading.Condition()
        self._batch = _Batch()
        self._writing = False
        self._unusable: OSError | None = None
        self._seq, self._hash, self._length = 0, FIRST_PREV, 0
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            _sync_directory(directory)
        except OSError as error:
            raise StateError(f"{self._path}: {error.strerror}") from error
        try:
            dropped = self._resume()
            self._durable_seq, self._durable_hash = self._seq, self._hash
            if dropped:
                digest = hashlib.sha256(dropped).hexdigest()
                self.append("audit.torn_line_dropped", bytes=len(dropped), sha256=digest)
        except OSError as error:
            self.close()
            raise StateError(f"{self._path}: {error.strerror}") from error
        except StateError:
            self.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def head(self) -> tuple[int, str]:
        """Sequence number and hash of the newest entry on disk: what to export as a checkpoint."""
        with self._change:
            return self._durable_seq, self._durable_hash

    @property
    def extent(self) -> tuple[int, int]:
        """Sequence number of the newest entry on disk, and the bytes up to its end."""
        with self._change:
            return self._durable_seq, self._length

    def append(self, event: str, **fields: Any) -> int:
        """Write one entry and return its sequence number once it is on disk.

        ValueError for fields that JSON cannot carry or that exceed MAX_ENTRY_BYTES; NaN becomes
        null. StateError when the disk does not take it, and then the entry is not in the log.
        """
        with self._change:
            if self._unusable is not None:
                raise StateError(f"{self._path}: {self._unusable.strerror}; restart to go on")
            seq = self._seq + 1
            line, digest = _entry(seq, self._clock.unix_ns(), event, fields, self._hash)
            self._seq, self._hash = seq, digest
            batch = self._batch
            batch.lines.append(line)
            # The first one in becomes the writer; who comes while it writes shares the next write.
            while self._writing and not batch.done:
                self._change.wait()
            if not batch.done:
                self._commit(batch)
        if batch.error is not None:
            raise StateError(f"{self._path}: {batch.error.strerror}") from batch.error
        return seq

    def close(self) -> None:
        """Close the file; entries being appended are finished first."""
        with self._change:
            while self._writing:
                self._change.wait()
            os.close(self._fd)
            self._fd = -1  # whatever gets this number next is not written to

    def _commit(self, batch: _Batch) -> None:
        """Bring a batch to disk; the caller holds the lock, which is free meanwhile."""
        self._writing = True
        self._batch = _Batch()
        seq, digest = self._seq, self._hash
        data = b"".join(batch.lines)
        self._change.release()
        try:
            _write_all(self._fd, data)
            os.fdatasync(self._fd)
            error = None
        except OSError as caught:
            error = caught
        finally:
            self._change.acquire()
        if error is None:
            self._durable_seq, self._durable_hash = seq, digest
            self._length += len(data)
        else:
            self._roll_back(batch, error)
        batch.done = True
        self._writing = False
        self._change.notify_all()

    def _roll_back(self, batch: _Batch, error: OSError) -> None:
        """Take back a batch, and those chained to it meanwhile: none of them is in the log."""
        for failed in (batch, self._batch):
            failed.error = error
            failed.done = True
        self._batch = _Batch()
        self._seq, self._hash = self._durable_seq, self._durable_hash
        try:
            os.ftruncate(self._fd, self._length)
        except OSError as caught:
            self._unusable = caught

    def _resume(self) -> bytes:
        """Continue the chain of the file; the bytes of a torn last line, which is cut off."""
        size = os.fstat(self._fd).st_size
        window = 2 * MAX_ENTRY_BYTES  # holds a whole last entry and a torn one after it
        tail = os.pread(self._fd, window, max(0, size - window))
        complete, newline, torn = tail.rpartition(b"\n")
        if len(torn) > MAX_ENTRY_BYTES:
            raise StateError(f"{self._path}: this is no audit log; move it away")
        self._length = size - len(torn)
        if torn:
            os.ftruncate(self._fd, self._length)
            os.fdatasync(self._fd)
        self._seq, self._hash = self._last_entry(complete, bool(newline))
        return torn

    def _last_entry(self, complete: bytes, any_line: bool) -> tuple[int, str]:
        if not any_line:
            return 0, FIRST_PREV
        try:
            entry = _parse(complete.rpartition(b"\n")[2])
        except ValueError as error:
            raise StateError(
                f"{self._path}: last line: {error}; move the file away to start a new log"
            ) from error
        return int(entry["seq"]), str(entry["hash"])


def verify(path: Path) -> AuditReport:
    """Check every entry of a log: a file, or a directory that holds `audit.jsonl`.

    Reads it once, line by line. StateError when it cannot be read.
    """
    try:
        if path.is_dir():
            path = path / FILE_NAME
        with path.open("rb") as file:
            return _verify(path, file)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error


def _verify(path: Path, file: BinaryIO) -> AuditReport:
    seq, prev = 0, FIRST_PREV
    first: str | None = None
    last: str | None = None
    reason: str | None = None
    torn = 0
    for line in _lines(file):
        if not line.endswith(b"\n") and len(line) <= MAX_ENTRY_BYTES:
            torn = len(line)
            break
        try:
            entry = _parse(line.removesuffix(b"\n"))
            _require_place(entry, seq + 1, prev)
        except ValueError as error:
            reason = str(error)
            break
        seq, prev, last = entry["seq"], entry["hash"], entry["time"]
        first = first or last
    broken_line = None if reason is None else seq + 1
    return AuditReport(path, seq, first, last, prev, broken_line, reason, torn)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_ENTRY_BYTES + 1):
        yield line


def _require_place(entry: dict[str, Any], seq: int, prev: str) -> None:
    if entry["seq"] != seq:
        raise ValueError(f"seq is {entry['seq']}, not {seq}: an entry is missing or moved")
    if entry["prev"] != prev:
        raise ValueError("prev is not the hash of the entry before")


def _entry(
    seq: int, unix_ns: int, event: str, fields: dict[str, Any], prev: str
) -> tuple[bytes, str]:
    """The line of an entry and its hash."""
    entry = {
        "seq": seq, "time": iso8601(unix_ns / 1e9), "event": event, "fields": fields, "prev": prev
    }  # fmt: skip
    try:
        digest = _hash(entry)
        line = _canonical(entry | {"hash": digest}) + b"\n"
    except TypeError as error:
        raise ValueError(f"audit entry {event!r}: {error}") from error
    if len(line) > MAX_ENTRY_BYTES:
        raise ValueError(f"audit entry {event!r} exceeds {MAX_ENTRY_BYTES} bytes")
    return line, digest


def _parse(line: bytes) -> dict[str, Any]:
    """An entry whose form and hash are right; ValueError saying what is not."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise ValueError("not JSON") from None
    if not isinstance(entry, dict) or entry.keys() != _MEMBERS:
        raise ValueError("not an audit entry")
    if not isinstance(entry["seq"], int):
        raise ValueError("seq is not an integer")
    if _canonical(entry) != line:
        raise ValueError("not in the canonical form that was written")
    if _hash({name: value for name, value in entry.items() if name != "hash"}) != entry["hash"]:
        raise ValueError("hash does not fit the content: the entry was changed")
    return entry


def _canonical(entry: dict[str, Any]) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


def _hash(entry: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(entry)).hexdigest()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(directory: Path) -> None:
    """Make a new file's name durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
