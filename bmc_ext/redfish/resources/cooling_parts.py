"""Filter and Reservoir of a cooling unit: served only where they are declared."""

from __future__ import annotations

from typing import Any, TypeVar

from bmc_ext.equipment import FilterPlate, ReservoirPlate
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, loop_of, values_of
from bmc_ext.redfish.excerpts import collection, plate, point
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()

FILTERS = f"{CDUS}/{{unit}}/Filters"
RESERVOIRS = f"{CDUS}/{{unit}}/Reservoirs"
_PLATE_LACKS = ("Version", "FirmwareVersion", "ProductionDate")
_Part = TypeVar("_Part", FilterPlate, ReservoirPlate)


@routes.get(FILTERS, LOGIN, schema="FilterCollection.FilterCollection")
def filters(context: Context, request: Request) -> dict[str, Any]:
    """The declared filters."""
    found = _some(loop_of(context, request).cooling_unit.filters, request)
    return collection("Filters", request.path.rstrip("/"), [part.id for part in found])


@routes.get(f"{FILTERS}/{{part}}", LOGIN, schema="Filter.v1_1_1.Filter")
def filter_(context: Context, request: Request) -> dict[str, Any]:
    """A filter; nothing here measures it, so its hours of service are not known."""
    part = _one(loop_of(context, request).cooling_unit.filters, request)
    declared = {
        "RatedServiceHours": part.rated_service_hours,
        "HotPluggable": part.hot_pluggable,
        "Replaceable": part.replaceable,
    }
    serviced = part.serviced_date
    return {
        "Id": part.id,
        "Name": f"Filter {part.id}",
        **plate(part.nameplate, without=_PLATE_LACKS),
        **{name: value for name, value in declared.items() if value is not None},
        "ServicedDate": None if serviced is None else f"{serviced}T00:00:00Z",
        "ServiceHours": None,
        "Status": {"State": "Enabled", "Health": None},
    }


@routes.get(RESERVOIRS, LOGIN, schema="ReservoirCollection.ReservoirCollection")
def reservoirs(context: Context, request: Request) -> dict[str, Any]:
    """The declared reservoirs."""
    found = _some(loop_of(context, request).cooling_unit.reservoirs, request)
    return collection("Reservoirs", request.path.rstrip("/"), [part.id for part in found])


@routes.get(
    f"{RESERVOIRS}/{{part}}",
    LOGIN,
    schema="Reservoir.v1_0_2.Reservoir",
    volatile=("FluidLevelPercent", "Status"),
)
def reservoir(context: Context, request: Request) -> dict[str, Any]:
    """A reservoir; its level where a point tells it. Nobody declares which level is too low."""
    loop = loop_of(context, request)
    part = _one(loop.cooling_unit.reservoirs, request)
    values = values_of(context, loop)
    return {
        "Id": part.id,
        "Name": f"Reservoir {part.id}",
        "ReservoirType": part.type,
        **plate(part.nameplate, without=_PLATE_LACKS),
        "CapacityLiters": part.capacity_l,
        "FluidLevelPercent": point(context, part.level),
        "FluidLevelStatus": None,
        "Status": conditioned_status(values.quality, ()),
    }


def _some(parts: tuple[_Part, ...], request: Request) -> tuple[_Part, ...]:
    if not parts:
        raise NotFoundError(f"nothing lives at {request.path}")
    return parts


def _one(parts: tuple[_Part, ...], request: Request) -> _Part:
    name = request.params["part"]
    for part in parts:
        if part.id == name:
            return part
    raise NotFoundError(f"nothing lives at {request.path}")
