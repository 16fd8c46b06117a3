"""A feed as the power resources see it: its collection, its configuration, its values."""

from __future__ import annotations

from bmc_ext.domain.power import FeedValues
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.newest import newest
from bmc_ext.settings import FeedConfig

EQUIPMENT = "/redfish/v1/PowerEquipment"
KINDS = {
    "Switchgear": "Switchgear",
    "ElectricalBuses": "Bus",
    "FloorPDUs": "FloorPDU",
    "RackPDUs": "RackPDU",
}
"""The collections that a feed's equipment can be in, with the EquipmentType of their members."""


def served(context: Context) -> bool:
    """Whether the tree is there at all."""
    config = context.config
    return config.power_equipment and bool(config.feeds or config.rack_pdus)


def kinds(context: Context) -> list[str]:
    """The collections that have members."""
    used = {feed.equipment.kind for feed in context.config.feeds}
    if context.config.rack_pdus:
        used.add("RackPDUs")
    return [kind for kind in KINDS if kind in used]


def member_ids(context: Context, kind: str) -> list[str]:
    """The members of that collection: equipment of feeds, then rack PDUs."""
    feeds = [feed.id for feed in context.config.feeds if feed.equipment.kind == kind]
    pdus = context.config.rack_pdus if kind == "RackPDUs" else ()
    return [*feeds, *(pdu.id for pdu in pdus)]


def checked_kind(context: Context, request: Request) -> str:
    """The collection that the path names; NotFoundError where it has no members."""
    kind = request.params["kind"]
    if not served(context) or kind not in kinds(context):
        raise NotFoundError(f"nothing lives at {request.path}")
    return kind


def feed_of(context: Context, request: Request) -> FeedConfig:
    """The feed whose equipment the path names; NotFoundError."""
    name, kind = request.params["feed"], request.params["kind"]
    place = context.feed_places.get(name) if served(context) else None
    if place is None or context.config.feeds[place].equipment.kind != kind:
        raise NotFoundError(f"no equipment {name!r} of the kind {kind!r}")
    return context.config.feeds[place]


def values_of(context: Context, feed: FeedConfig) -> FeedValues:
    """The feed in the newest snapshot."""
    return newest(context).feeds[context.feed_places[feed.id]]


def uri_of(feed: FeedConfig) -> str:
    """Where a feed's equipment lives."""
    return f"{EQUIPMENT}/{feed.equipment.kind}/{feed.id}"
