"""An audit entry before an act and one after it, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bmc_ext.security.audit import AuditLog
from bmc_ext.security.identity import Identity


@contextmanager
def audited(
    log: AuditLog,
    event: str,
    identity: Identity,
    correlation_id: str,
    planned: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Log `<event>.planned`, run the block, log `<event>.done` with what it put into the mapping.

    A block that raises is logged as `<event>.failed`. StateError when the log cannot be written:
    before the block, the block does not run.
    """
    who = {"user": identity.username, "role": identity.role, "correlation_id": correlation_id}
    seq = log.append(f"{event}.planned", **who, **planned)
    result: dict[str, Any] = {}
    try:
        yield result
    except Exception as error:
        log.append(f"{event}.failed", **who, planned_seq=seq, error=str(error))
        raise
    log.append(f"{event}.done", **who, planned_seq=seq, **result)
