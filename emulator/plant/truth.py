"""The truth of the campus at one moment, as plain values: what perfect instruments would show."""

from __future__ import annotations

from typing import Any

from emulator.plant.campus import Campus


def truth_of(campus: Campus) -> dict[str, Any]:
    """Feeds in W, var, VA, V, A, Hz, J; loops in L/min, °C, bar, %, W; silicon in °C by hall."""
    return {
        "unix_s": campus.unix_s,
        "site_power_w": campus.site_power_w,
        "feeds": {feed_id: _feed(campus, feed_id) for feed_id in campus.feed_ids},
        "loops": _loops(campus),
        "silicon": dict(
            zip(campus.facility.hall_ids, campus.coolant.silicon_c.tolist(), strict=True)
        ),
        "battery": {"soc": campus.battery.soc, "power_w": campus.battery.power_w},
        "rack_pdu": _rack_pdu(campus),
        "workloads": _workloads(campus),
    }


def _feed(campus: Campus, feed_id: str) -> dict[str, float]:
    halls = campus.facility.hall_ids
    if feed_id in halls:
        quantities = campus.halls.quantities(halls.index(feed_id))
    else:
        quantities = campus.metered(feed_id).quantities()
    return {
        **quantities,
        "frequency_hz": campus.grid.frequency_hz,
        "energy_import_j": campus.import_j[feed_id],
        "energy_export_j": campus.export_j[feed_id],
    }


def _rack_pdu(campus: Campus) -> list[dict[str, float | bool]]:
    """Its outlets in their order: whether the relay is closed, W and J."""
    pdu = campus.rack_pdu
    columns = (pdu.is_on.tolist(), campus.outlets_w.tolist(), pdu.energy_j.tolist())
    return [
        {"on": on, "power_w": power_w, "energy_j": energy_j}
        for on, power_w, energy_j in zip(*columns, strict=True)
    ]


def _loops(campus: Campus) -> dict[str, dict[str, float]]:
    coolant = campus.coolant
    columns = {
        "flow_lpm": coolant.flow_lpm,
        "supply_c": coolant.supply_c,
        "return_c": coolant.return_c,
        "pressure_bar": coolant.pressure_bar,
        "pump_speed_percent": coolant.speed_percent,
        "heat_w": coolant.heat_w,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return {
        loop_id: dict(zip(columns, row, strict=True)) | {"leaking": loop_id in campus.leaking}
        for loop_id, row in zip(campus.facility.loop_ids, rows, strict=True)
    }


def _workloads(campus: Campus) -> dict[str, dict[str, float | str]]:
    workloads = campus.it.workloads
    powers_w = workloads.powers_w()
    return {
        workload_id: {"state": state, "power_w": powers_w[workload_id]}
        for workload_id, state in workloads.states(campus.unix_s).items()
    }
