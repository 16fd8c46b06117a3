"""PowerEquipment: what distributes the feeds' power. Configuration can leave the tree out."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.distribution import EQUIPMENT, checked_kind, kinds, member_ids, served
from bmc_ext.redfish.excerpts import collection, link
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()


@routes.get(EQUIPMENT, LOGIN, schema="PowerEquipment.v1_2_3.PowerEquipment")
def power_equipment(context: Context, request: Request) -> dict[str, Any]:
    """The collections that have members."""
    if not served(context):
        raise NotFoundError(f"nothing lives at {request.path}")
    return {
        "Id": "PowerEquipment",
        "Name": "Power equipment",
        "Status": {"State": "Enabled", "Health": "OK"},
        **{kind: link(f"{EQUIPMENT}/{kind}") for kind in kinds(context)},
        "Links": {"ManagedBy": [link("/redfish/v1/Managers/DCPI")]},
    }


@routes.get(
    f"{EQUIPMENT}/{{kind}}", LOGIN, schema="PowerDistributionCollection.PowerDistributionCollection"
)
def members_of_kind(context: Context, request: Request) -> dict[str, Any]:
    """One member for each feed, with the feed's id, and the rack PDUs."""
    kind = checked_kind(context, request)
    return collection(kind, f"{EQUIPMENT}/{kind}", member_ids(context, kind))
