"""Copies of sensors inside other resources, and nameplates (DSP0266, excerpts)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bmc_ext.equipment import Nameplate, PointRef
from bmc_ext.redfish.context import Context
from bmc_ext.redfish.fixed_members import SENSORS
from bmc_ext.redfish.newest import newest
from bmc_ext.redfish.sensor_catalogue import sensor_id
from bmc_ext.redfish.sensor_values import Quantity, SensorValue

Excerpt = dict[str, Any]

_SHOWN: Mapping[str | None, tuple[str, ...]] = {
    "Power": ("ApparentVA", "ReactiveVAR", "PowerFactor"),
    "Voltage": ("THDPercent",),
    "Current": ("THDPercent",),
    "EnergykWh": ("LifetimeReading",),
}
"""What an excerpt of a reading type shows beside the reading."""

_PLATE = {
    "Manufacturer": "manufacturer",
    "Model": "model",
    "PartNumber": "part_number",
    "SerialNumber": "serial_number",
    "Version": "version",
    "FirmwareVersion": "firmware_version",
}


def sensor(context: Context, name: str) -> Excerpt:
    """The facility's sensor of that id as an excerpt."""
    found = context.facility_sensors[name]
    return _excerpt(name, found.quantity, found.value(newest(context)))


def point(context: Context, ref: PointRef | None) -> Excerpt:
    """A device's point as an excerpt, unknown where none is configured or the device is gone.

    Clients look into the excerpt for its reading, so it is never null itself.
    """
    if ref is None:
        return derived(None)
    name = sensor_id(ref)
    known = context.device_sensors.points().get(name)
    if known is None:
        return derived(None)
    try:
        return _excerpt(name, known.quantity, context.device_sensors.value(ref))
    except KeyError:
        return derived(None)


def derived(value: float | None) -> Excerpt:
    """A reading that is worked out here from others, and has no sensor of its own."""
    return {"Reading": value}


def _excerpt(name: str, quantity: Quantity, value: SensorValue) -> Excerpt:
    reading = quantity.shown(value.value)
    extras = dict(value.extras)
    if quantity.reading_type == "EnergykWh":
        extras.setdefault("LifetimeReading", reading)
    shown = _SHOWN.get(quantity.reading_type, ())
    return {
        "DataSourceUri": f"{SENSORS}/{name}",
        "Reading": reading,
        **{key: extras[key] for key in shown if key in extras},
    }


def plate(of: Nameplate, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a nameplate tells; what it does not is left out, and so is what the schema lacks."""
    shown = {name: getattr(of, key) for name, key in _PLATE.items()}
    if of.production_date is not None:
        shown["ProductionDate"] = f"{of.production_date}T00:00:00Z"
    members = {k: v for k, v in shown.items() if v is not None and k not in without}
    if of.service_label is not None and "Location" not in without:
        members["Location"] = {"PartLocation": {"ServiceLabel": of.service_label}}
    return members


def collection(name: str, uri: str, ids: list[str]) -> dict[str, Any]:
    """A collection of the members with these ids."""
    return {
        "Name": name,
        "Members": [{"@odata.id": f"{uri}/{member}"} for member in ids],
        "Members@odata.count": len(ids),
    }


def link(uri: str) -> dict[str, str]:
    """A link to a resource."""
    return {"@odata.id": uri}
