"""What today's model has in place of a chassis' Thermal, which sushy-tools still serves alone.

The values are those of its Thermal; it tells no time and no interval, so neither is told here. It
has no controls: their place is empty.
"""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish.host import HostError

Body = dict[str, Any]

TYPES = (
    "ControlCollection.ControlCollection",
    "EnvironmentMetrics.v1_6_0.EnvironmentMetrics",
    "Fan.v1_5_2.Fan",
    "FanCollection.FanCollection",
    "Sensor.v1_13_0.Sensor",
    "SensorCollection.SensorCollection",
    "ThermalSubsystem.v1_5_0.ThermalSubsystem",
)
"""Beside what sushy-tools serves."""

DERIVED = (
    "chassis sensors",
    "chassis sensor",
    "chassis environment",
    "chassis thermal",
    "chassis fans",
    "chassis fan",
    "chassis controls",
)
"""The routes that are answered here."""

_THRESHOLDS = {
    "UpperCaution": "UpperThresholdNonCritical",
    "UpperCritical": "UpperThresholdCritical",
    "UpperFatal": "UpperThresholdFatal",
    "LowerCaution": "LowerThresholdNonCritical",
    "LowerCritical": "LowerThresholdCritical",
    "LowerFatal": "LowerThresholdFatal",
}


def thermal_path(path: str) -> str:
    """The Thermal that a derived resource is worked out from."""
    return f"{_chassis(path)}/Thermal"


def derived(route: str, path: str, thermal: Body) -> Body:
    """The resource at `path`; HostError 404 for a sensor that there is not."""
    chassis = _chassis(path)
    sensors = _sensors(chassis, thermal)
    if route == "chassis sensors":
        return _collection(path, "Sensor", [sensor["@odata.id"] for sensor in sensors])
    if route == "chassis controls":
        return _collection(path, "Control", [])
    if route == "chassis thermal":
        return {
            "@odata.type": "#ThermalSubsystem.v1_5_0.ThermalSubsystem",
            "@odata.id": path,
            "Id": "ThermalSubsystem",
            "Name": "Thermal subsystem",
            "Fans": {"@odata.id": f"{path}/Fans"},
            "Status": {"State": "Enabled", "Health": "OK"},
        }
    if route == "chassis environment":
        return _environment(path, sensors)
    fans = [_fan(chassis, sensor) for sensor in sensors if sensor["ReadingType"] == "Rotational"]
    if route == "chassis fans":
        return _collection(path, "Fan", [fan["@odata.id"] for fan in fans])
    for one in fans if route == "chassis fan" else sensors:
        if one["@odata.id"] == path:
            return one
    raise HostError(404, f"nothing lives at {path}")


def _collection(path: str, kind: str, uris: list[str]) -> Body:
    return {
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "@odata.id": path,
        "Name": f"{kind}s",
        "Members": [{"@odata.id": uri} for uri in uris],
        "Members@odata.count": len(uris),
    }


def _chassis(path: str) -> str:
    return "/".join(path.split("/")[:5])


def _sensors(chassis: str, thermal: Body) -> list[Body]:
    temperatures = [
        _sensor(chassis, f"Temperature{entry['MemberId']}", entry, "Temperature", "Cel")
        for entry in thermal["Temperatures"]
    ]
    fans = [
        _sensor(chassis, f"Fan{entry['MemberId']}", entry, "Rotational", "{rev}/min")
        for entry in thermal["Fans"]
    ]
    return temperatures + fans


def _sensor(chassis: str, name: str, entry: Body, reading_type: str, units: str) -> Body:
    limits = {level: {"Reading": entry[key]} for level, key in _THRESHOLDS.items() if key in entry}
    return {
        "@odata.type": "#Sensor.v1_13_0.Sensor",
        "@odata.id": f"{chassis}/Sensors/{name}",
        "Id": name,
        "Name": entry["Name"],
        "ReadingType": reading_type,
        "ReadingUnits": units,
        "Reading": entry["ReadingCelsius" if reading_type == "Temperature" else "Reading"],
        "ReadingTime": None,
        "SensingInterval": None,
        "PhysicalContext": entry["PhysicalContext"],
        "Status": entry["Status"],
        **({"Thresholds": limits} if limits else {}),
    }


def _fan(chassis: str, sensor: Body) -> Body:
    """The fan whose speed a sensor measures; what share of its full speed that is nobody tells."""
    place = int(sensor["Id"].removeprefix("Fan"))
    return {
        "@odata.type": "#Fan.v1_5_2.Fan",
        "@odata.id": f"{chassis}/ThermalSubsystem/Fans/{sensor['Id']}",
        "Id": sensor["Id"],
        "Name": sensor["Name"],
        "PhysicalContext": sensor["PhysicalContext"],
        "Location": {
            "PartLocation": {
                "LocationType": "Bay",
                "LocationOrdinalValue": place,
                "ServiceLabel": f"Fan {place}",
            }
        },
        "SpeedPercent": {
            "DataSourceUri": sensor["@odata.id"],
            "Reading": None,
            "SpeedRPM": sensor["Reading"],
        },
        "Status": sensor["Status"],
    }


def _environment(path: str, sensors: list[Body]) -> Body:
    intake = next((entry for entry in sensors if entry["PhysicalContext"] == "Intake"), None)
    return {
        "@odata.type": "#EnvironmentMetrics.v1_6_0.EnvironmentMetrics",
        "@odata.id": path,
        "Id": "EnvironmentMetrics",
        "Name": "Environment metrics",
        "TemperatureCelsius": None if intake is None else _excerpt(intake),
        "FanSpeedsPercent": [],
    }


def _excerpt(sensor: Body) -> Body:
    return {"DataSourceUri": sensor["@odata.id"], "Reading": sensor["Reading"]}
