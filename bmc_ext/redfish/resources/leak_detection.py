"""LeakDetection: the leak detectors of a cooling unit, and the humidity beside them."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, loop_of
from bmc_ext.redfish.excerpts import link, point
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.leak_detector import (
    LEAK_DETECTORS,
    reading_of,
    state_of,
    status_of,
)
from bmc_ext.security.identity import LOGIN

routes = Routes()

_WORSE = {"OK": 0, "Warning": 1, "Critical": 2}


@routes.get(
    f"{CDUS}/{{unit}}/LeakDetection",
    LOGIN,
    schema="LeakDetection.v1_2_0.LeakDetection",
    volatile=("LeakDetectorGroups", "Status"),
)
def leak_detection(context: Context, request: Request) -> dict[str, Any]:
    """All detectors of the unit as one group."""
    loop = loop_of(context, request)
    detectors = loop.cooling_unit.leak_detectors
    if not detectors:
        raise NotFoundError(f"the cooling unit {loop.id!r} has no leak detector")
    readings = [reading_of(context, detector) for detector in detectors]
    status = _worst([status_of(reading) for reading in readings])
    legacy = link(f"{CDUS}/{loop.id}/LeakDetection/LeakDetectors")
    return {
        "Id": "LeakDetection",
        "Name": f"Leak detection of {loop.id}",
        "Status": status,
        "LeakDetectorGroups": [
            {
                "GroupName": loop.id,
                "HumidityPercent": point(context, loop.cooling_unit.humidity),
                "Detectors": [
                    {
                        "DataSourceUri": f"{LEAK_DETECTORS}/{loop.id}_{detector.id}",
                        "DeviceName": f"Leak detector {detector.id} of {loop.id}",
                        "DetectorState": state_of(reading),
                    }
                    for detector, reading in zip(detectors, readings, strict=True)
                ],
                "Status": status,
            }
        ],
        **({"LeakDetectors": legacy} if context.config.legacy else {}),
    }


def _worst(found: list[dict[str, Any]]) -> dict[str, Any]:
    """That of the detector that is worst off; enabled as long as one of them is."""
    health = max((entry["Health"] for entry in found), key=lambda text: _WORSE[text])
    enabled = any(entry["State"] == "Enabled" for entry in found)
    return {"State": "Enabled" if enabled else found[0]["State"], "Health": health}
