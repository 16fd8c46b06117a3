"""The newest snapshot, for whoever renders it."""

from __future__ import annotations

from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.redfish.context import Context
from bmc_ext.redfish.errors import RedfishError


def window(context: Context, path: str) -> int | None:  # noqa: ARG001
    """The version of what shows nothing but the newest snapshot: its window."""
    snapshot = context.snapshots.latest()
    return None if snapshot is None else snapshot.window_id


def newest(context: Context) -> Snapshot:
    """The newest snapshot; 503 in the moment before the first window is complete."""
    snapshot = context.snapshots.latest()
    if snapshot is None:
        raise RedfishError(
            503, "the first measurement window is not complete yet", headers={"Retry-After": "1"}
        )
    return snapshot
