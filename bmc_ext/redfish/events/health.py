"""Tells when a leak detector gets wet or dry, and when a power supply of the host fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bmc_ext.errors import DcpiError
from bmc_ext.redfish import cooling
from bmc_ext.redfish.context import Context
from bmc_ext.redfish.events.edges import Edges
from bmc_ext.redfish.events.message import RESOURCE, Happening, happening
from bmc_ext.redfish.resources.leak_detector import LEAK_DETECTORS, reading_of, state_of

_CHASSIS = "/redfish/v1/Chassis"


class HealthWatch:
    """Compares the health of these resources with what it was at the look before."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._leaks = Edges(bad_after_s=0.0, first_after_s=0.0)  # a drop that falls is told once
        self._supplies: dict[str, str] = {}

    def changes(self) -> Iterator[Happening]:
        """What has changed since the last look."""
        yield from self._of_leaks()
        for uri, health in self._supply_healths():
            if health != self._supplies.get(uri, "OK"):
                yield self._changed(uri, "PowerSupply", health)
            self._supplies[uri] = health

    def _of_leaks(self) -> Iterator[Happening]:
        """A detector that cannot be read has neither dried nor got wet."""
        now_s = self._context.clock.monotonic_s()
        for name in cooling.detector_ids(self._context):
            _, detector = cooling.detector_named(self._context, name)
            state = state_of(reading_of(self._context, detector))
            if state not in ("OK", "Critical"):
                continue
            turned = self._leaks.follow(name, state == "Critical", now_s)
            if turned is not None:
                health = "Critical" if turned else "OK"
                yield self._changed(f"{LEAK_DETECTORS}/{name}", "LeakDetector", health)

    def _supply_healths(self) -> Iterator[tuple[str, str]]:
        """Each power supply of the host with its health, where it tells one.

        A host elsewhere tells of its own, and this thread waits for no other machine.
        """
        host = self._context.host
        for chassis in host.members("Chassis") if host is not None and host.runs_here else ():
            supplies = self._read(f"{_CHASSIS}/{chassis}/PowerSubsystem/PowerSupplies")
            for member in supplies.get("Members", ()):
                health = self._read(member["@odata.id"]).get("Status", {}).get("Health")
                if health in ("OK", "Warning", "Critical"):
                    yield member["@odata.id"], health

    def _read(self, uri: str) -> dict[str, Any]:
        """A resource of the host; empty where there is none, or while the host is in trouble."""
        assert self._context.host is not None
        try:
            body = self._context.host.handle("GET", uri, "", None).body
        except DcpiError:
            return {}
        return body if isinstance(body, dict) else {}

    def _changed(self, uri: str, kind: str, health: str) -> Happening:
        return happening(
            f"{RESOURCE}.ResourceStatusChanged{health}",
            [uri, health],
            at_s=self._context.clock.unix_ns() / 1e9,
            origin=uri,
            origin_type=kind,
        )
