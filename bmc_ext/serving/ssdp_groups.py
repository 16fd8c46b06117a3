"""The multicast groups of SSDP: how each is joined, heard and spoken to, by address family."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from bmc_ext.network_interfaces import interface_addresses

PORT: Final = 1900  # UPnP Device Architecture 1.3.1
HOPS: Final = 2  # UPnP Device Architecture 1.1

_IP_PKTINFO, _IP_MULTICAST_ALL = 8, 49  # linux/in.h
_IPV6_MULTICAST_ALL = 29  # linux/in6.h
_MREQN = struct.Struct("=4s4si")
_PKTINFO = struct.Struct("=i4s4s")
_MREQ6 = struct.Struct("=16si")
_LONGEST = 1024


class Heard(NamedTuple):
    """A datagram, who sent it, and our address where it came in; None where there is none."""

    data: bytes
    sender: Any
    address: str | None


class Group(Protocol):
    """One multicast group on some interfaces; OSError where its sockets fail."""

    @property
    def name(self) -> str:
        """The group with its port, as HOST names it."""

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """What to wait on."""

    def receive(self, at: socket.socket) -> Heard:
        """What waits there."""

    def address(self, interface: str) -> str | None:
        """Our address on an interface, as a URI holds it; None where it has none."""

    def send(self, interface: str, data: bytes) -> None:
        """To all who listen there."""


class GroupV4:
    """239.255.255.250: one socket for all interfaces. OSError for one that is not there."""

    name = f"239.255.255.250:{PORT}"

    def __init__(self, interfaces: Sequence[str]) -> None:
        self._group = self.name.partition(":")[0]
        found = self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            found.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
            # Otherwise what others joined on further interfaces would come here, too.
            found.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            found.bind((self._group, PORT))
            for name in interfaces:
                index = socket.if_nametoindex(name)
                member = _MREQN.pack(socket.inet_aton(self._group), bytes(4), index)
                found.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError:
            found.close()
            raise

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The one."""
        return (self._socket,)

    def receive(self, at: socket.socket) -> Heard:
        """What waits, with the address that the kernel would answer from."""
        data, extra, _, sender = at.recvmsg(_LONGEST, 64)
        for level, kind, content in extra:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                ours = socket.inet_ntoa(_PKTINFO.unpack(content[: _PKTINFO.size])[1])
                return Heard(data, sender, ours)
        return Heard(data, sender, None)

    def address(self, interface: str) -> str | None:
        """The first of the interface."""
        found = (one.interface.ip for one in interface_addresses().get(interface, ()))
        return next((str(address) for address in found if address.version == 4), None)

    def send(self, interface: str, data: bytes) -> None:
        """One datagram."""
        member = _MREQN.pack(bytes(4), bytes(4), socket.if_nametoindex(interface))
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
        self._socket.sendto(data, (self._group, PORT))


class GroupV6:
    """ff02::c: a socket for each of the interfaces. OSError for one that is not there.

    One that has no address of IPv6 yet is answered on once it has.
    """

    name = f"[ff02::c]:{PORT}"

    def __init__(self, interfaces: Sequence[str]) -> None:
        self._by_name: dict[str, socket.socket] = {}
        try:
            for name in interfaces:
                self._by_name[name] = _joined(socket.if_nametoindex(name))
        except OSError:
            for found in self._by_name.values():
                found.close()
            raise

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """One for each interface."""
        return tuple(self._by_name.values())

    def receive(self, at: socket.socket) -> Heard:
        """What waits, with the address of that interface."""
        data, sender = at.recvfrom(_LONGEST)
        (interface,) = (name for name, found in self._by_name.items() if found is at)
        return Heard(data, sender, self.address(interface))

    def address(self, interface: str) -> str | None:
        """One that reaches further before one of the link, whose zone only its reader knows."""
        known = [one.interface.ip for one in interface_addresses().get(interface, ())]
        found = [one for one in known if isinstance(one, ipaddress.IPv6Address)]
        best = min(found, key=lambda address: address.is_link_local, default=None)
        return None if best is None else f"[{best.compressed}]"

    def send(self, interface: str, data: bytes) -> None:
        """One datagram."""
        index = socket.if_nametoindex(interface)
        self._by_name[interface].sendto(data, ("ff02::c", PORT, 0, index))


def _joined(index: int) -> socket.socket:
    """A socket that hears the group on one interface."""
    found = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        found.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        found.bind(("ff02::c", PORT, 0, index))
        member = _MREQ6.pack(socket.inet_pton(socket.AF_INET6, "ff02::c"), index)
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    except OSError:
        found.close()
        raise
    return found
