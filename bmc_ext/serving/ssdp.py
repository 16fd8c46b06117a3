"""Tells of the service on the local network, and answers searches (DSP0266 clause 15, SSDP)."""

from __future__ import annotations

import errno
import logging
import socket
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bmc_ext.errors import ConfigurationError
from bmc_ext.lifecycle import Lifecycle
from bmc_ext.network_interfaces import interface_addresses

_LOG = logging.getLogger(__name__)

GROUP: Final = "239.255.255.250"
PORT: Final = 1900  # UPnP Device Architecture 1.3.1
REDFISH: Final = "urn:dmtf-org:service:redfish-rest:1"
_TARGETS = (REDFISH, "ssdp:all")
_VALID_S = 1800  # UPnP Device Architecture 1.3.3: at least that long
NOTIFY_S: Final = 900  # UPnP Device Architecture 1.2.2: before half of what it is valid for
NOTIFY_TTL: Final = 2  # UPnP Device Architecture 1.1
_ANSWERS_PER_S = 20.0  # who forges senders gets no more out of us than that

_IP_PKTINFO, _IP_MULTICAST_ALL = 8, 49  # linux/in.h
_MREQN = struct.Struct("=4s4si")
_PKTINFO = struct.Struct("=i4s4s")
_ANY = ("0.0.0.0", "::", "")
_LONGEST = 1024
_LOOK_S = 0.5


class SsdpResponder:
    """Listens on `interfaces` and answers with the URI of the service root; off while disabled.

    There it also says each quarter of an hour that the service is there, and once when it goes.

    `host` is where the service listens; a wildcard address means the one that was asked. Whether
    it is enabled is kept in `directory`. ConfigurationError for an interface that is not there.
    """

    def __init__(
        self,
        interfaces: Sequence[str],
        host: str,
        uuid: str,
        lifecycle: Lifecycle,
        directory: Path,
        group: str = GROUP,
    ) -> None:
        self.interfaces = tuple(interfaces)
        self._host = host
        self._uuid = uuid
        self._lifecycle = lifecycle
        self._off = directory / "ssdp_off"
        self._group = group
        self._stopping = threading.Event()
        self._room = _ANSWERS_PER_S
        self._filled_s = time.monotonic()
        self._next_notify_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="ssdp", daemon=True)
        self._socket = self._listen()

    @property
    def enabled(self) -> bool:
        """Whether searches are answered."""
        return not self._off.exists()

    @enabled.setter
    def enabled(self, wanted: bool) -> None:
        if wanted:
            self._off.unlink(missing_ok=True)
        else:
            self._off.touch()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> socket.socket:
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            found.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, NOTIFY_TTL)
            # Otherwise what others joined on further interfaces would come here, too.
            found.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            found.bind((self._group, PORT))
            for name in self.interfaces:
                index = socket.if_nametoindex(name)
                member = _MREQN.pack(socket.inet_aton(self._group), bytes(4), index)
                found.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError as error:
            found.close()
            names = ", ".join(self.interfaces)
            raise ConfigurationError(f"discovery on {names}: {error.strerror}") from error
        found.settimeout(_LOOK_S)
        return found

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._announce(here=self.enabled)
            try:
                data, extra, _, sender = self._socket.recvmsg(_LONGEST, 64)
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    _LOG.exception("discovery has ended")
                    return
                continue
            target = searched(data)
            if target is not None and self.enabled and self._is_allowed():
                self._answer(target, sender, extra)
        self._announce(here=False)

    def _announce(self, *, here: bool) -> None:
        """Say that the service is there when that is due, and that it goes where that was said."""
        now_s = time.monotonic()
        if here and (self._next_notify_s is None or now_s >= self._next_notify_s):
            self._next_notify_s = now_s + NOTIFY_S
            self._notify("ssdp:alive")
        elif not here and self._next_notify_s is not None:
            self._next_notify_s = None
            self._notify("ssdp:byebye")

    def _notify(self, what: str) -> None:
        addresses = interface_addresses()
        for name in self.interfaces:
            found = [str(one.interface.ip) for one in addresses.get(name, ())
                     if one.interface.version == 4]  # fmt: skip
            address = self._host if self._host not in _ANY else next(iter(found), None)
            if address is None:
                continue
            try:
                index = socket.if_nametoindex(name)
                member = _MREQN.pack(bytes(4), bytes(4), index)
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
                self._socket.sendto(self._notice(what, address), (self._group, PORT))
            except OSError as error:
                _LOG.info("%s was not sent on %s: %s", what, name, error)

    def _notice(self, what: str, address: str) -> bytes:
        lines = [
            "NOTIFY * HTTP/1.1",
            f"HOST: {self._group}:{PORT}",
            f"NT: {REDFISH}",
            f"NTS: {what}",
            f"USN: uuid:{self._uuid}::{REDFISH}",
        ]
        if what == "ssdp:alive":
            lines += [f"CACHE-CONTROL: max-age={_VALID_S}", f"AL: {self._root(address)}"]
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def _root(self, address: str) -> str:
        return f"https://{address}:{self._lifecycle.port}/redfish/v1/"

    def _answer(
        self, target: str, sender: tuple[str, int], extra: list[tuple[int, int, bytes]]
    ) -> None:
        address = self._address(extra)
        if address is None or self._lifecycle.port is None:
            return
        try:
            self._socket.sendto(self._message(address), sender)
        except OSError as error:
            _LOG.info("no answer to a search for %s from %s: %s", target, sender[0], error)

    def _message(self, address: str) -> bytes:
        return (
            "HTTP/1.1 200 OK\r\n"
            f"CACHE-CONTROL: max-age={_VALID_S}\r\n"
            "EXT:\r\n"
            f"ST: {REDFISH}\r\n"
            f"USN: uuid:{self._uuid}::{REDFISH}\r\n"
            f"AL: {self._root(address)}\r\n\r\n"
        ).encode("ascii")

    def _address(self, extra: list[tuple[int, int, bytes]]) -> str | None:
        """The address in the answer: the service's, or that of the interface that was asked."""
        if self._host not in _ANY:
            return self._host
        for level, kind, data in extra:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                return socket.inet_ntoa(_PKTINFO.unpack(data[: _PKTINFO.size])[1])
        return None

    def _is_allowed(self) -> bool:
        now_s = time.monotonic()
        grown = self._room + (now_s - self._filled_s) * _ANSWERS_PER_S
        self._room, self._filled_s = min(_ANSWERS_PER_S, grown), now_s
        if self._room < 1.0:
            return False
        self._room -= 1.0
        return True


def searched(data: bytes) -> str | None:
    """The target of a search that is about us; None for everything else on that port."""
    lines = data.decode("latin-1").split("\r\n")
    if lines[0].split()[:1] != ["M-SEARCH"]:
        return None
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("man") != '"ssdp:discover"':
        return None
    target = headers.get("st", "")
    return target if target in _TARGETS else None
