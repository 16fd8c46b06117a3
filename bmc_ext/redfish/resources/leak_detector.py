"""LeakDetector: a leak detector of a cooling unit, among those of the chassis.

The deprecated place below the unit's LeakDetection is what OCP's profiles of 2024 ask for.
"""

from __future__ import annotations

from typing import Any

from bmc_ext.equipment import LeakSensor
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, detector_ids, detector_named, loop_of
from bmc_ext.redfish.excerpts import collection, plate
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from bmc_ext.settings import LoopConfig
from drivers.reading import Quality, Reading

routes = Routes()

LEAK_DETECTORS = "/redfish/v1/Chassis/DCPI/LeakDetectors"
LEGACY = f"{CDUS}/{{unit}}/LeakDetection/LeakDetectors"
_SCHEMA = "LeakDetector.v1_6_0.LeakDetector"
_COLLECTION = "LeakDetectorCollection.LeakDetectorCollection"
_READINGS = ("DetectorState", "Status", "SensingFrequency")
_WET = 0.5  # between 0, dry, and 1, wet


@routes.get(LEAK_DETECTORS, LOGIN, schema=_COLLECTION)
def leak_detectors(context: Context, request: Request) -> dict[str, Any]:
    """Those of all units; there is no such collection where none is declared."""
    ids = detector_ids(context)
    if not ids:
        raise NotFoundError(f"nothing lives at {request.path}")
    return collection("Leak detectors", LEAK_DETECTORS, ids)


@routes.get(f"{LEAK_DETECTORS}/{{detector}}", LOGIN, schema=_SCHEMA, volatile=_READINGS)
def leak_detector(context: Context, request: Request) -> dict[str, Any]:
    """One detector: wet is Critical, what cannot be read is Unavailable."""
    name = request.params["detector"]
    return _body(context, name, *detector_named(context, name))


@routes.get(LEGACY, LOGIN, schema=_COLLECTION)
def leak_detectors_of_unit(context: Context, request: Request) -> dict[str, Any]:
    """The unit's detectors by their ids."""
    loop = _legacy_loop(context, request)
    ids = [detector.id for detector in loop.cooling_unit.leak_detectors]
    return collection("Leak detectors", request.path.rstrip("/"), ids)


@routes.get(f"{LEGACY}/{{detector}}", LOGIN, schema=_SCHEMA, volatile=_READINGS)
def leak_detector_of_unit(context: Context, request: Request) -> dict[str, Any]:
    """The same detector at its deprecated place."""
    loop, name = _legacy_loop(context, request), request.params["detector"]
    for detector in loop.cooling_unit.leak_detectors:
        if detector.id == name:
            return _body(context, name, loop, detector)
    raise NotFoundError(f"the cooling unit {loop.id!r} has no leak detector {name!r}")


def _body(context: Context, name: str, loop: LoopConfig, detector: LeakSensor) -> dict[str, Any]:
    reading = reading_of(context, detector)
    every_s = reading.source_interval_s
    return {
        "Id": name,
        "Name": f"Leak detector {detector.id} of {loop.id}",
        "LeakDetectorType": detector.type,
        "PhysicalContext": "CoolingSubsystem",
        **plate(detector.nameplate, without=("Version", "FirmwareVersion", "ProductionDate")),
        "DetectorState": state_of(reading),
        "Status": status_of(reading),
        **({} if every_s is None else {"SensingFrequency": every_s}),
    }


def _legacy_loop(context: Context, request: Request) -> LoopConfig:
    loop = loop_of(context, request)
    if not (context.config.legacy and loop.cooling_unit.leak_detectors):
        raise NotFoundError(f"nothing lives at {request.path}")
    return loop


def reading_of(context: Context, detector: LeakSensor) -> Reading:
    """What the detector's point reads now."""
    try:
        return context.device_sensors.reading(detector.wet)
    except KeyError:  # the device was removed
        return Reading(None, "1", Quality.ABSENT)


def state_of(reading: Reading) -> str:
    """The DetectorState; what is not known is never dry."""
    if reading.value is None:
        return "Absent" if reading.quality is Quality.ABSENT else "Unavailable"
    return "Critical" if reading.value > _WET else "OK"


def status_of(reading: Reading) -> dict[str, Any]:
    """Of the reading's quality; a leak is critical."""
    found = conditioned_status(reading.quality, reading.conditions)
    return {**found, "Health": "Critical"} if state_of(reading) == "Critical" else found
