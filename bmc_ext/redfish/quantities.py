"""How quantities are written on the Redfish face: unknown is null, times are ISO 8601."""

from __future__ import annotations

from typing import Any

from bmc_ext.clock import iso8601
from bmc_ext.domain.snapshot import TIME_LIMIT_S, Snapshot
from drivers.reading import Quality

JOULE_PER_KWH = 3.6e6


def timestamp(unix_s: float | None) -> str | None:
    """A date-time of Edm.DateTimeOffset; None is unknown."""
    return None if unix_s is None else iso8601(unix_s)


def kilowatt_hours(energy_j: float | None) -> float | None:
    """J as kWh, and var·s as kvarh."""
    return None if energy_j is None else energy_j / JOULE_PER_KWH


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as ms."""
    return None if seconds is None else seconds * 1e3


def parts_per_million(ratio: float | None) -> float | None:
    """A ratio as ppm."""
    return None if ratio is None else ratio * 1e6


def with_time_alarm(found: dict[str, Any], snapshot: Snapshot | None) -> dict[str, Any]:
    """A Status to which times that are not known to ±1 ms add a condition and a warning."""
    if snapshot is None or snapshot.time_alarm is None:
        return dict(found)
    limit = f"{TIME_LIMIT_S * 1e3:g}"
    condition = {
        "MessageId": "ResourceEvent.1.4.ResourceWarningThresholdExceeded",
        "MessageArgs": ["TimeBoundMilliseconds", limit],
        "Message": "The resource property TimeBoundMilliseconds has exceeded its warning "
        f"threshold of value {limit}.",
        "Severity": "Warning",
    }
    health = "Warning" if found["Health"] == "OK" else found["Health"]
    return {**found, "Health": health, "Conditions": [*found.get("Conditions", []), condition]}


def status(quality: Quality) -> dict[str, str]:
    """Redfish Status of something whose data has that quality."""
    if quality is Quality.OK:
        return {"State": "Enabled", "Health": "OK"}
    if quality is Quality.ABSENT:
        return {"State": "Absent", "Health": "Warning"}
    health = "Critical" if quality is Quality.COMM_ERROR else "Warning"
    return {"State": "UnavailableOffline", "Health": health}
