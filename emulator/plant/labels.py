"""The labels of the simulated things, as a controller's configuration declares them."""

from __future__ import annotations

from typing import Any

from emulator.plant.facility import BatteryPlate, CoolingFeedPlate, HallPlate, Nameplates


def campus(plates: Nameplates) -> dict[str, str]:
    """The facility's own."""
    return {
        "manufacturer": plates.manufacturer,
        "model": plates.campus_model,
        "part_number": plates.campus_part_number,
        "serial_number": plates.campus_serial_number,
        "version": plates.campus_version,
    }


def site(plates: Nameplates) -> dict[str, str]:
    """Where it stands."""
    return {
        "country": plates.country,
        "city": plates.city,
        "postal_code": plates.postal_code,
    }


def cooling_unit(plates: Nameplates, number: int) -> dict[str, Any]:
    """Of a loop's unit and its pump."""
    return {
        "nameplate": {
            "manufacturer": plates.manufacturer,
            "model": plates.cooling_unit_model,
            "part_number": plates.cooling_unit_part_number,
            "serial_number": f"SIM-CDU-{number:04d}",
            "version": plates.campus_version,
            "firmware_version": plates.cooling_unit_firmware,
            "production_date": plates.production_date,
        },
        "pump": {
            "manufacturer": plates.manufacturer,
            "model": plates.pump_model,
            "serial_number": f"SIM-PUMP-{number:04d}",
            "service_label": f"Pump {number}",
        },
    }


def leak_cable(plates: Nameplates, number: int) -> dict[str, str]:
    """Of the cable under a loop's unit."""
    return {
        "manufacturer": plates.manufacturer,
        "model": plates.leak_cable_model,
        "serial_number": f"SIM-LEAK-{number:04d}",
        "service_label": f"Leak cable {number}",
    }


def rack_pdu(plates: Nameplates) -> dict[str, str]:
    """Of the one rack PDU."""
    return {
        "manufacturer": plates.manufacturer,
        "model": plates.rack_pdu_model,
        "part_number": plates.rack_pdu_part_number,
        "serial_number": "SIM-PDU-0001",
        "version": plates.campus_version,
        "firmware_version": plates.rack_pdu_firmware,
        "production_date": plates.production_date,
    }


def switchgear(
    plates: Nameplates, number: int, feed: HallPlate | CoolingFeedPlate | BatteryPlate
) -> dict[str, Any]:
    """Of what a feed comes through, and of the battery behind it."""
    found: dict[str, Any] = {
        "kind": "Switchgear",
        "nameplate": {
            "manufacturer": plates.manufacturer,
            "model": plates.switchgear_model,
            "serial_number": f"SIM-SWG-{number:04d}",
            "production_date": plates.production_date,
        },
        "rated_current_a": feed.rated_current_a,
        "wiring": "ThreePhase4Wire",
    }
    if isinstance(feed, BatteryPlate):
        found["battery"] = {
            "nameplate": {
                "manufacturer": plates.manufacturer,
                "model": plates.battery_model,
                "serial_number": "SIM-BAT-0001",
                "production_date": plates.production_date,
            },
            "capacity_j": feed.capacity_j,
            "chemistry": "LithiumIon",
        }
    return found
