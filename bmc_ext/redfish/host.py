"""The port behind which the host BMC lives: an emulator's, or a real one's Redfish service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from bmc_ext.errors import DcpiError

if TYPE_CHECKING:
    from bmc_ext.redfish.context import Request


PREFIX: Final = "Upstream_"
"""Of a host's ids where ours may have the same; no client names a resource of ours so."""


class HostResponse(NamedTuple):
    """What the host answered: status, JSON body, another document or None, headers to hand on."""

    status: int
    body: dict[str, Any] | bytes | None
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

    @property
    def may_wait(self) -> bool:
        """Whether a request to it may wait for another machine now."""

    @property
    def root(self) -> Mapping[str, Any]:
        """What its service root leads to; what ours has of the same name is ours."""

    @property
    def schemas(self) -> Mapping[str, tuple[str, ...]]:
        """Namespaces by the URI of their CSDL, beside those that its types stand for."""

    def members(self, collection: str) -> tuple[str, ...]:
        """Ids of its members of a collection such as `Systems` or `TaskService/Tasks`."""

    def power_states(self) -> Mapping[str, str]:
        """PowerState of its systems by their id, as far as it is known; never waits for long."""

    def claims(self, path: str) -> bool:
        """Whether the resource at `path` is its own although a template of ours fits it."""

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that the resource at `path` takes; none where nothing lives there."""

    def takes_query(self, query: Mapping[str, str]) -> bool:
        """Whether it answers such a query of its resources itself."""

    def handle(
        self,
        method: str,
        path: str,
        query: str,
        body: object | None,
        request: Request | None = None,
    ) -> HostResponse:
        """Answer one request; `path` starts with /redfish/v1/. HostError, HostUnavailableError.

        A client's `request` is given for a host that asks who it is; without, the service asks.
        """

    def version(self, path: str) -> int | None:
        """A number that changes whenever what a GET of `path` shows does.

        None where that may change without the host saying so.
        """

    def warm_up(self) -> None:
        """Do what makes the first request slow, before the first request."""
