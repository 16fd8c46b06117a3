"""What never changes of a Sensor, made once: a thousand of them are asked for in one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bmc_ext.redfish.entity_tag import etag

SENSORS: Final = "/redfish/v1/Chassis/DCPI/Sensors"
SENSOR: Final = "Sensor.v1_13_0.Sensor"
SENSOR_COLLECTION: Final = "SensorCollection.SensorCollection"


class FixedMembers(NamedTuple):
    """The members before the reading and those behind it, of which the last is the entity tag.

    A tag leaves readings out, so that it never changes either.
    """

    head: Mapping[str, Any]
    tail: Mapping[str, Any]


def fixed_members(
    sensor: str,
    reading_type: str | None,
    units: str,
    thresholds: Mapping[str, Any],
    **texts: str | None,
) -> FixedMembers:
    """Those of the Sensor with that id; `texts` follow the id, unless they are not known."""
    head = {
        "@odata.type": f"#{SENSOR}",
        "@odata.id": f"{SENSORS}/{sensor}",
        "Id": sensor,
        **{name: text for name, text in texts.items() if text is not None},
        "ReadingType": reading_type,
        "ReadingUnits": units,
    }
    tail = {"Thresholds": thresholds} if thresholds else {}
    return FixedMembers(head, {**tail, "@odata.etag": etag({**head, **tail})})
