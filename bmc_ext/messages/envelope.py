"""The header that all messages of this service begin with (DCPI 5.2.1)."""

from __future__ import annotations

from typing import Any

from bmc_ext.clock import iso8601

__all__ = ["DCPI_VERSIONS", "envelope"]

DCPI_VERSIONS = ("1.0",)
"""The versions of DCPI spoken here; the last one is the newest (Annex A)."""


def envelope(
    message_type: str, *, facility_id: str, correlation_id: str, now_s: float
) -> dict[str, Any]:
    """The header fields of DCPI 5.2.1; `now_s` is Unix time in seconds."""
    return {
        "dcpi_version": DCPI_VERSIONS[-1],
        "message_type": message_type,
        "timestamp": iso8601(now_s),
        "facility_id": facility_id,
        "correlation_id": correlation_id,
    }
