"""LeakDetection: the leak detectors of a cooling unit, and the humidity beside them."""

from __future__ import annotations

from typing import Any

from bmc_ext.config import LoopConfig
from bmc_ext.equipment import LeakSensor
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, loop_of
from bmc_ext.redfish.excerpts import collection, link, plate, point
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from drivers.reading import Quality, Reading

routes = Routes()

DETECTION = f"{CDUS}/{{unit}}/LeakDetection"
DETECTORS = f"{DETECTION}/LeakDetectors"
_WET = 0.5  # between 0, dry, and 1, wet


@routes.get(
    DETECTION,
    LOGIN,
    schema="LeakDetection.v1_2_0.LeakDetection",
    volatile=("LeakDetectorGroups", "Status"),
)
def leak_detection(context: Context, request: Request) -> dict[str, Any]:
    """All detectors of the unit as one group."""
    loop = _loop(context, request)
    detectors = loop.cooling_unit.leak_detectors
    readings = [_reading(context, detector) for detector in detectors]
    return {
        "Id": "LeakDetection",
        "Name": f"Leak detection of {loop.id}",
        "Status": _worst([_status(reading) for reading in readings]),
        "LeakDetectorGroups": [
            {
                "GroupName": loop.id,
                "HumidityPercent": point(context, loop.cooling_unit.humidity),
                "Detectors": [
                    {
                        "DataSourceUri": f"{CDUS}/{loop.id}/LeakDetection/LeakDetectors/{entry.id}",
                        "DetectorState": _state(reading),
                    }
                    for entry, reading in zip(detectors, readings, strict=True)
                ],
            }
        ],
        "LeakDetectors": link(f"{CDUS}/{loop.id}/LeakDetection/LeakDetectors"),
    }


@routes.get(DETECTORS, LOGIN, schema="LeakDetectorCollection.LeakDetectorCollection")
def leak_detectors(context: Context, request: Request) -> dict[str, Any]:
    """The detectors by their ids."""
    loop = _loop(context, request)
    ids = [detector.id for detector in loop.cooling_unit.leak_detectors]
    return collection("Leak detectors", request.path.rstrip("/"), ids)


@routes.get(
    f"{DETECTORS}/{{detector}}",
    LOGIN,
    schema="LeakDetector.v1_6_0.LeakDetector",
    volatile=("DetectorState", "Status"),
)
def leak_detector(context: Context, request: Request) -> dict[str, Any]:
    """One detector: wet is Critical, what cannot be read is Unavailable."""
    loop = _loop(context, request)
    name = request.params["detector"]
    found = next((entry for entry in loop.cooling_unit.leak_detectors if entry.id == name), None)
    if found is None:
        raise NotFoundError(f"the cooling unit {loop.id!r} has no leak detector {name!r}")
    reading = _reading(context, found)
    return {
        "Id": found.id,
        "Name": f"Leak detector {found.id} of {loop.id}",
        "LeakDetectorType": found.type,
        "PhysicalContext": "CoolingSubsystem",
        **plate(found.nameplate, without=("Version", "FirmwareVersion", "ProductionDate")),
        "DetectorState": _state(reading),
        "Status": _status(reading),
        **_interval(reading),
    }


def _loop(context: Context, request: Request) -> LoopConfig:
    loop = loop_of(context, request)
    if not loop.cooling_unit.leak_detectors:
        raise NotFoundError(f"the cooling unit {loop.id!r} has no leak detector")
    return loop


def _reading(context: Context, detector: LeakSensor) -> Reading:
    try:
        return context.device_sensors.reading(detector.wet)
    except KeyError:  # the device was removed
        return Reading(None, "1", Quality.ABSENT)


def _state(reading: Reading) -> str:
    if reading.value is None:
        return "Absent" if reading.quality is Quality.ABSENT else "Unavailable"
    return "Critical" if reading.value > _WET else "OK"


def _status(reading: Reading) -> dict[str, Any]:
    found = conditioned_status(reading.quality, reading.conditions)
    return {**found, "Health": "Critical"} if _state(reading) == "Critical" else found


def _worst(found: list[dict[str, Any]]) -> dict[str, Any]:
    """That of the detector that is worst off; enabled as long as one of them is."""
    order = {"OK": 0, "Warning": 1, "Critical": 2}
    health = max((entry["Health"] for entry in found), key=lambda text: order[text])
    enabled = any(entry["State"] == "Enabled" for entry in found)
    return {"State": "Enabled" if enabled else found[0]["State"], "Health": health}


def _interval(reading: Reading) -> dict[str, str]:
    every_s = reading.source_interval_s
    return {} if every_s is None else {"SensingFrequency": f"PT{every_s:g}S"}
