"""Announces the service by multicast DNS: DNS-SD (RFC 6763) of the type `_redfish._tcp`.

DSP0266 leaves that to convention: browsers of that type read the records `path` and `uuid`.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bmc_ext.errors import ConfigurationError
from bmc_ext.lifecycle import Lifecycle
from bmc_ext.network_interfaces import interface_addresses

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

_LOG = logging.getLogger(__name__)

TYPE: Final = "_redfish._tcp.local."
_LOOK_S: Final = 5.0  # an address that comes late, or changes, is announced so much later at most


class MdnsAnnouncer:
    """Announces on `interfaces`, as long as these have IPv4 addresses that the service listens at.

    `host` is where the service listens; a wildcard means all addresses of the interfaces.
    ConfigurationError where the library is not installed.
    """

    def __init__(
        self, interfaces: Sequence[str], host: str, uuid: str, name: str, lifecycle: Lifecycle
    ) -> None:
        try:
            import zeroconf
        except ImportError:
            raise ConfigurationError(
                "listen.mdns needs the library zeroconf: pip install 'dcpi-bmc[mdns]'"
            ) from None
        self._library = zeroconf
        self._interfaces = tuple(interfaces)
        self._host = host
        self._uuid = uuid
        self._name = name
        self._lifecycle = lifecycle
        self._announced: tuple[str, ...] = ()
        self._responder: Zeroconf | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mdns", daemon=True)

    def start(self) -> None:
        """Begin to announce."""
        self._thread.start()

    def stop(self) -> None:
        """Say that the service goes, and end."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._follow(self._addresses())
            except Exception:
                _LOG.exception("the service could not be announced; it is tried again")
            if self._stopping.wait(_LOOK_S):
                break
        self._leave()

    def _follow(self, addresses: tuple[str, ...]) -> None:
        """Announce anew where the addresses have changed."""
        if addresses == self._announced:
            return
        self._leave()
        if addresses:
            version = self._library.IPVersion.V4Only
            self._responder = self._library.Zeroconf(list(addresses), ip_version=version)
            self._responder.register_service(self._service(addresses), allow_name_change=True)
            self._announced = addresses

    def _leave(self) -> None:
        """Take back what was announced; the records of a service that goes have no life left."""
        responder, self._responder, self._announced = self._responder, None, ()
        if responder is not None:
            responder.unregister_all_services()
            responder.close()

    def _service(self, addresses: tuple[str, ...]) -> ServiceInfo:
        return self._library.ServiceInfo(
            TYPE,
            f"{self._name} {self._uuid[:8]}.{TYPE}",
            port=self._lifecycle.port,
            parsed_addresses=list(addresses),
            properties={"txtvers": "1", "path": "/redfish/v1/", "uuid": self._uuid},
            server=f"dcpi-{self._uuid}.local.",  # no name that the machine itself may announce
        )

    def _addresses(self) -> tuple[str, ...]:
        """IPv4 addresses of the interfaces at which the service is reached now."""
        found = interface_addresses()
        here = [str(one.interface.ip) for name in self._interfaces for one in found.get(name, ())
                if one.interface.version == 4]  # fmt: skip
        listening = ipaddress.ip_address(self._host) if _is_address(self._host) else None
        if listening is None or listening.is_unspecified:
            return tuple(here)
        return tuple(address for address in here if address == str(listening))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
