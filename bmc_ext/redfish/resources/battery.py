"""PowerSubsystem and Battery: the batteries behind feeds, and what their meters show."""

from __future__ import annotations

from typing import Any

from bmc_ext.equipment import Battery
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.distribution import values_of
from bmc_ext.redfish.excerpts import collection, derived, link, plate, point
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from bmc_ext.settings import FeedConfig

routes = Routes()

SUBSYSTEM = "/redfish/v1/Chassis/DCPI/PowerSubsystem"
BATTERIES = f"{SUBSYSTEM}/Batteries"
_J_PER_WH = 3600.0
_IDLE_SHARE = 0.005  # of the feed's rating: what a battery at rest may draw


@routes.get(SUBSYSTEM, LOGIN, schema="PowerSubsystem.v1_1_4.PowerSubsystem")
def power_subsystem(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """What the facility may draw, its nameplate in W, and what it stores."""
    return {
        "Id": "PowerSubsystem",
        "Name": "Power subsystem",
        "CapacityWatts": context.config.facility.rated_power_w,
        "Status": {"State": "Enabled", "Health": "OK"},
        **({"Batteries": link(BATTERIES)} if _with_battery(context) else {}),
    }


@routes.get(BATTERIES, LOGIN, schema="BatteryCollection.BatteryCollection")
def batteries(context: Context, request: Request) -> dict[str, Any]:
    """One for each feed with a battery, with the feed's id; there is none without one."""
    if not _with_battery(context):
        raise NotFoundError(f"nothing lives at {request.path}")
    return collection("Batteries", BATTERIES, [feed.id for feed in _with_battery(context)])


@routes.get(
    f"{BATTERIES}/{{battery}}",
    LOGIN,
    schema="Battery.v1_5_0.Battery",
    volatile=("ChargeState", "Status"),
)
def battery(context: Context, request: Request) -> dict[str, Any]:
    """One battery; its charge state follows from the power at its feed, import positive."""
    feed, unit = _find(context, request)
    values = values_of(context, feed)
    declared = {
        "BatteryChemistryType": unit.chemistry,
        "CapacityRatedWattHours": None if unit.capacity_j is None else unit.capacity_j / _J_PER_WH,
    }
    return {
        "Id": feed.id,
        "Name": f"Battery of {feed.name}",
        "EnergyStorageType": "Battery",
        **plate(unit.nameplate),
        **{name: value for name, value in declared.items() if value is not None},
        "ChargeState": _charge_state(values.p_w, feed.rated_power_w),
        "Status": conditioned_status(values.quality, values.conditions),
        "Metrics": link(f"{BATTERIES}/{feed.id}/Metrics"),
    }


@routes.get(
    f"{BATTERIES}/{{battery}}/Metrics",
    LOGIN,
    schema="BatteryMetrics.v1_1_0.BatteryMetrics",
    volatile=("ChargePercent", "StoredEnergyWattHours", "Status"),
)
def battery_metrics(context: Context, request: Request) -> dict[str, Any]:
    """Charge where a point tells it, and the energy that this is of the rated capacity."""
    feed, unit = _find(context, request)
    values = values_of(context, feed)
    shown: dict[str, Any] = {}
    if unit.charge is not None:
        charge = shown["ChargePercent"] = point(context, unit.charge)
        percent = charge["Reading"]
        if unit.capacity_j is not None:
            stored_j = None if percent is None else percent / 100.0 * unit.capacity_j
            shown["StoredEnergyWattHours"] = derived(
                None if stored_j is None else stored_j / _J_PER_WH
            )
    return {
        "Id": "Metrics",
        "Name": f"Metrics of the battery of {feed.name}",
        **shown,
        "Status": conditioned_status(values.quality, values.conditions),
    }


def _charge_state(power_w: float | None, rated_w: float) -> str | None:
    if power_w is None:
        return None
    if abs(power_w) <= _IDLE_SHARE * rated_w:
        return "Idle"
    return "Charging" if power_w > 0 else "Discharging"


def _with_battery(context: Context) -> list[FeedConfig]:
    return [feed for feed in context.config.feeds if feed.equipment.battery is not None]


def _find(context: Context, request: Request) -> tuple[FeedConfig, Battery]:
    name = request.params["battery"]
    place = context.feed_places.get(name)
    feed = None if place is None else context.config.feeds[place]
    if feed is None or feed.equipment.battery is None:
        raise NotFoundError(f"no battery {name!r}")
    return feed, feed.equipment.battery
