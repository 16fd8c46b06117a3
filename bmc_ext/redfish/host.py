"""The port behind which the host BMC lives: an emulator's, or a real one's Redfish service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from bmc_ext.errors import DcpiError


class HostResponse(NamedTuple):
    """What the host answered: status, JSON body or None, headers to hand on."""

    status: int
    body: dict[str, Any] | None
    headers: dict[str, str]


class HostError(DcpiError):
    """The host refused; becomes a Redfish error body with this status, text and property.

    `message` is a key of the Base registry, `args` what its placeholders take.
    """

    def __init__(
        self,
        status: int,
        text: str,
        property_path: str = "",
        *,
        message: str = "",
        args: Sequence[str] = (),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.property_path = property_path
        self.message = message
        self.message_args = tuple(args)


class HostBMC(Protocol):
    """A host BMC: it answers all of /redfish/v1 that the extension does not own."""

    @property
    def types(self) -> tuple[str, ...]:
        """The types of what it serves, such as `ComputerSystem.v1_13_0.ComputerSystem`."""

    @property
    def runs_here(self) -> bool:
        """Whether its managers are this very process: one network, one clock, one restart."""

    def members(self, collection: str) -> tuple[str, ...]:
        """Ids of the members of `Systems`, `Chassis` or `Managers`."""

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that the resource at `path` takes; none where nothing lives there."""

    def handle(self, method: str, path: str, query: str, body: object | None) -> HostResponse:
        """Answer one request; `path` starts with /redfish/v1/. Raises HostError."""

    def version(self, path: str) -> int | None:
        """A number that changes whenever what a GET of `path` shows does.

        None where that may change without the host saying so.
        """

    def warm_up(self) -> None:
        """Do what makes the first request slow, before the first request."""
