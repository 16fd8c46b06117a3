"""Reads an audit log from its end, page by page, while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import orjson

from bmc_ext.errors import NotFoundError
from bmc_ext.security.audit import AuditLog

MAX_PAGED: Final = 5000
"""Entries from the newest back that can be asked for; the file itself keeps all."""

_BLOCK_BYTES = 65536


class AuditPages:
    """The newest entries of a log; each call looks at what is on disk by then."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    @property
    def count(self) -> int:
        """How many entries can be asked for."""
        return min(MAX_PAGED, self._log.extent[0])

    def newest(self, skip: int, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` entries, newest first, after the `skip` newest."""
        seq, length = self._log.extent
        last = min(skip + limit, MAX_PAGED, seq)
        found = []
        for number, line in enumerate(self._lines(length)):
            if number >= last:
                break
            if number >= skip:
                found.append(orjson.loads(line))
        return found

    def entry(self, seq: int) -> dict[str, Any]:
        """The entry of that sequence number; NotFoundError where it cannot be asked for."""
        newest = self._log.extent[0]
        if not newest - MAX_PAGED < seq <= newest:
            raise NotFoundError(f"no audit entry {seq} is among the last {MAX_PAGED}")
        for line in self._lines(self._log.extent[1]):
            entry: dict[str, Any] = orjson.loads(line)
            if entry["seq"] == seq:
                return entry
        raise NotFoundError(f"no audit entry {seq}")

    def _lines(self, end: int) -> Iterator[bytes]:
        """The lines before byte `end`, last one first."""
        rest = b""
        with self._log.path.open("rb") as file:
            while end > 0:
                size = min(_BLOCK_BYTES, end)
                end -= size
                first, *others = (os.pread(file.fileno(), size, end) + rest).split(b"\n")
                yield from (line for line in reversed(others) if line)
                rest = first
        if rest:
            yield rest
