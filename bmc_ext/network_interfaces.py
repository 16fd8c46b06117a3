"""The machine's network interfaces as Linux tells them: sysfs, procfs and rtnetlink."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SYS_NET: Final = Path("/sys/class/net")
PROC_NET: Final = Path("/proc/net")
ETC: Final = Path("/etc")

_IFF_UP = 0x1  # linux/if.h
_ANSWER_S = 1.0

# linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
_NLMSG_DONE, _RTM_NEWADDR, _RTM_GETADDR = 3, 20, 22
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_IFADDRMSG = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_TENTATIVE, _DEPRECATED, _DAD_FAILED, _MANAGED_TEMPORARY = 0x40, 0x20, 0x08, 0x100
_PERMANENT = 0x80

_RTF_GATEWAY = 0x2  # linux/route.h

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address with its prefix; `state` and `origin` in the words of Redfish's IPAddresses.

    `origin` is None where the kernel does not tell who set it: a DHCP client may, or a person.
    """

    interface: Address
    state: str
    origin: str | None


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """One interface as it is now; None is what the kernel does not tell.

    `speed_mbps` in Mbit/s, `mtu_bytes` in bytes, gateways of the default route.
    """

    name: str
    mac: str | None
    enabled: bool
    link_up: bool
    speed_mbps: int | None
    full_duplex: bool | None
    mtu_bytes: int | None
    physical: bool
    addresses: tuple[InterfaceAddress, ...]
    gateway_v4: str | None
    gateway_v6: str | None


def network_interfaces(
    sys_net: Path = SYS_NET, proc_net: Path = PROC_NET
) -> tuple[NetworkInterface, ...]:
    """The interfaces that reach something, by name.

    Those that are hardware or have an address besides a link-local one: a virtual end of a cable
    that carries no address is none of the machine's doors.
    """
    try:
        names = sorted(entry.name for entry in sys_net.iterdir())
    except OSError:
        return ()
    addresses = interface_addresses()
    found = (_interface(sys_net / name, proc_net, addresses.get(name, ())) for name in names)
    return tuple(one for one in found if one.physical or _reachable(one.addresses))


def qualified_name(name: str, etc: Path = ETC) -> str | None:
    """A machine's name with its domain, where it has one of its own or in /etc/hosts."""
    if "." in name:
        return name
    for line in _lines(etc / "hosts"):
        for alias in line.partition("#")[0].split()[1:]:
            if alias.startswith(f"{name}."):
                return alias
    return None


def name_servers(etc: Path = ETC) -> tuple[str, ...]:
    """The name servers of resolv.conf(5)."""
    words = (line.split() for line in _lines(etc / "resolv.conf"))
    return tuple(found[1] for found in words if len(found) > 1 and found[0] == "nameserver")


def _reachable(addresses: tuple[InterfaceAddress, ...]) -> bool:
    return any(not entry.interface.is_link_local for entry in addresses)


def _interface(
    folder: Path, proc_net: Path, addresses: tuple[InterfaceAddress, ...]
) -> NetworkInterface:
    flags = int(_text(folder / "flags") or "0", 16)
    speed = _number(folder / "speed")
    duplex = _text(folder / "duplex")
    return NetworkInterface(
        name=folder.name,
        mac=_text(folder / "address"),
        enabled=bool(flags & _IFF_UP),
        link_up=_text(folder / "carrier") == "1",
        speed_mbps=speed if speed is not None and speed >= 0 else None,
        full_duplex=None if duplex not in ("full", "half") else duplex == "full",
        mtu_bytes=_number(folder / "mtu"),
        physical=(folder / "device").exists(),
        addresses=addresses,
        gateway_v4=_gateway_v4(proc_net, folder.name),
        gateway_v6=_gateway_v6(proc_net, folder.name),
    )


def _text(path: Path) -> str | None:
    """What sysfs says; of an interface that is down the kernel refuses to tell some of it."""
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _gateway_v4(proc_net: Path, name: str) -> str | None:
    """The gateway of the default route: /proc/net/route has it as host-order hex."""
    for line in _lines(proc_net / "route")[1:]:
        words = line.split()
        is_default = len(words) > 3 and words[0] == name and words[1] == "00000000"
        if is_default and int(words[3], 16) & _RTF_GATEWAY:
            return str(ipaddress.IPv4Address(struct.pack("=I", int(words[2], 16))))
    return None


def _gateway_v6(proc_net: Path, name: str) -> str | None:
    for line in _lines(proc_net / "ipv6_route"):
        words = line.split()
        is_default = len(words) == 10 and words[9] == name and words[:2] == ["0" * 32, "00"]
        if is_default and int(words[8], 16) & _RTF_GATEWAY:
            return str(ipaddress.IPv6Address(int(words[4], 16)))
    return None


def interface_addresses() -> dict[str, tuple[InterfaceAddress, ...]]:
    """All addresses by interface, as RTM_GETADDR of rtnetlink(7) lists them."""
    names = dict(socket.if_nameindex())
    found: dict[str, list[InterfaceAddress]] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.settimeout(_ANSWER_S)
        length = _HEADER.size + _IFADDRMSG.size
        request = _HEADER.pack(length, _RTM_GETADDR, _DUMP, 1, 0) + _IFADDRMSG.pack(0, 0, 0, 0, 0)
        link.send(request)
        for kind, body in _messages(link):
            if kind == _RTM_NEWADDR:
                index, address = _address(body)
                if address is not None and index in names:
                    found.setdefault(names[index], []).append(address)
    return {name: tuple(entries) for name, entries in found.items()}


def _messages(link: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Type and body of each message until the dump is over."""
    while True:
        data = link.recv(65536)
        while len(data) >= _HEADER.size:
            length, kind, _, _, _ = _HEADER.unpack_from(data)
            if kind == _NLMSG_DONE or length < _HEADER.size:
                return
            yield kind, data[_HEADER.size : length]
            data = data[(length + 3) & ~3 :]


def _address(body: bytes) -> tuple[int, InterfaceAddress | None]:
    """Interface index and address of an RTM_NEWADDR message."""
    family, prefix, short_flags, _, index = _IFADDRMSG.unpack_from(body)
    attributes = dict(_attributes(body[_IFADDRMSG.size :]))
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if packed is None or family not in (socket.AF_INET, socket.AF_INET6):
        return index, None
    flags = short_flags
    if _IFA_FLAGS in attributes:
        (flags,) = struct.unpack("=I", attributes[_IFA_FLAGS])
    interface = ipaddress.ip_interface(f"{ipaddress.ip_address(packed)}/{prefix}")
    return index, InterfaceAddress(interface, _state(flags), _origin(interface, flags))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _state(flags: int) -> str:
    if flags & _DAD_FAILED:
        return "Failed"
    if flags & _TENTATIVE:
        return "Tentative"
    return "Deprecated" if flags & _DEPRECATED else "Preferred"


def _origin(interface: Address, flags: int) -> str | None:
    """Who gave the address, where that is certain; a lifetime comes from a protocol."""
    if interface.version == 4:
        if interface.is_link_local:
            return "IPv4LinkLocal"
        return None if flags & _PERMANENT else "DHCP"
    if interface.is_link_local:
        return "LinkLocal"
    if flags & _MANAGED_TEMPORARY:
        return "SLAAC"
    return "Static" if flags & _PERMANENT else None
