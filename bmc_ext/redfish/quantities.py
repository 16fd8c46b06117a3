"""How quantities are written on the Redfish face: unknown is null, times are ISO 8601."""

from __future__ import annotations

from typing import Any

from bmc_ext.clock import iso8601
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


def beyond(property_name: str, threshold: str) -> dict[str, Any]:
    """The Condition of a Status that says that a property is beyond its threshold."""
    return {
        "MessageId": "ResourceEvent.1.4.ResourceWarningThresholdExceeded",
        "MessageArgs": [property_name, threshold],
        "Message": f"The resource property {property_name} has exceeded its warning threshold of "
        f"value {threshold}.",
        "Severity": "Warning",
    }


def status(quality: Quality) -> dict[str, str]:
    """Redfish Status of something whose data has that quality."""
    if quality is Quality.OK:
        return {"State": "Enabled", "Health": "OK"}
    if quality is Quality.ABSENT:
        return {"State": "Absent", "Health": "Warning"}
    health = "Critical" if quality is Quality.COMM_ERROR else "Warning"
    return {"State": "UnavailableOffline", "Health": health}
