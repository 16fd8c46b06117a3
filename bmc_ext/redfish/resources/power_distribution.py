"""PowerDistribution and its metrics: one feed's equipment."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish import labels, rack_pdus
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.distribution import EQUIPMENT, KINDS, feed_of, uri_of, values_of
from bmc_ext.redfish.excerpts import link, plate, sensor
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources import rack_pdu
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

URI = f"{EQUIPMENT}/{{kind}}/{{feed}}"


@routes.get(URI, LOGIN, schema="PowerDistribution.v1_6_0.PowerDistribution", volatile=("Status",))
def power_distribution(context: Context, request: Request) -> dict[str, Any]:
    """One piece of equipment; what its nameplate does not tell is left out."""
    pdu = rack_pdus.named(context, request)
    if pdu is not None:
        return rack_pdu.distribution_body(context, pdu)
    feed = feed_of(context, request)
    values = values_of(context, feed)
    uri = uri_of(feed)
    return {
        "Id": feed.id,
        "Name": feed.name,
        "EquipmentType": KINDS[feed.equipment.kind],
        **plate(feed.equipment.nameplate),
        "AssetTag": labels.label(context, uri, "AssetTag"),
        "UserLabel": labels.label(context, uri, "UserLabel"),
        "Status": conditioned_status(values.quality, values.conditions),
        "Mains": link(f"{uri}/Mains"),
        "Metrics": link(f"{uri}/Metrics"),
        "Links": {
            "Chassis": [link("/redfish/v1/Chassis/DCPI")],
            "ManagedBy": [link("/redfish/v1/Managers/DCPI")],
        },
    }


@routes.patch(URI, CONFIGURE_COMPONENTS)
def change(context: Context, request: Request) -> dict[str, Any]:
    """Write its labels and, of a rack PDU, its place."""
    is_pdu = rack_pdus.named(context, request) is not None
    allowed = ("AssetTag", "UserLabel", *((labels.PLACEMENT,) if is_pdu else ()))
    labels.change(context, request, allowed, power_distribution(context, request))
    return power_distribution(context, request)


@routes.get(
    f"{URI}/Metrics",
    LOGIN,
    schema="PowerDistributionMetrics.v1_4_0.PowerDistributionMetrics",
    volatile=("PowerWatts", "EnergykWh", "PowerLoadPercent"),
)
def metrics(context: Context, request: Request) -> dict[str, Any]:
    """Power, energy that came in, and load of the rating."""
    pdu = rack_pdus.named(context, request)
    if pdu is not None:
        return rack_pdu.metrics_body(context, pdu)
    feed = feed_of(context, request)
    return {
        "Id": "Metrics",
        "Name": f"Metrics of {feed.name}",
        "PowerWatts": sensor(context, f"Feed_{feed.id}_Power"),
        "EnergykWh": sensor(context, f"Feed_{feed.id}_EnergyImport"),
        "PowerLoadPercent": sensor(context, f"Feed_{feed.id}_Load"),
    }
