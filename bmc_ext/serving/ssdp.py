"""Tells of the service on the local network, and answers searches (DSP0266 clause 15, SSDP)."""

from __future__ import annotations

import errno
import ipaddress
import logging
import select
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bmc_ext.errors import ConfigurationError
from bmc_ext.lifecycle import Lifecycle
from bmc_ext.serving.ssdp_groups import Group, GroupV4, GroupV6, Heard

_LOG = logging.getLogger(__name__)

REDFISH: Final = "urn:dmtf-org:service:redfish-rest:1"
_TARGETS = (REDFISH, "ssdp:all")
_VALID_S = 1800  # UPnP Device Architecture 1.3.3: at least that long
NOTIFY_S: Final = 900  # UPnP Device Architecture 1.2.2: before half of what it is valid for
_ANSWERS_PER_S = 20.0  # who forges senders gets no more out of us than that

_LOOK_S = 0.5


class SsdpResponder:
    """Listens on `interfaces` and answers with the URI of the service root; off while disabled.

    There it also says each quarter of an hour that the service is there, and once when it goes.

    `host` is where the service listens; IPv6 is spoken where that is an address of IPv6. A wildcard
    address means the one that was asked. Whether it is enabled is kept in `directory`.
    ConfigurationError for an interface that is not there.
    """

    def __init__(
        self,
        interfaces: Sequence[str],
        host: str,
        uuid: str,
        lifecycle: Lifecycle,
        directory: Path,
    ) -> None:
        self.interfaces = tuple(interfaces)
        self._host = _in_uri(host)
        self._uuid = uuid
        self._lifecycle = lifecycle
        self._off = directory / "ssdp_off"
        self._stopping = threading.Event()
        self._room = _ANSWERS_PER_S
        self._filled_s = time.monotonic()
        self._next_notify_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="ssdp", daemon=True)
        self._group = self._listen(host)

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
        for one in self._group.sockets:
            one.close()

    def _listen(self, host: str) -> Group:
        """The group of the family in which the service is reached."""
        try:
            return GroupV6(self.interfaces) if ":" in host else GroupV4(self.interfaces)
        except OSError as error:
            names = ", ".join(self.interfaces)
            raise ConfigurationError(f"discovery on {names}: {error.strerror or error}") from error

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._announce(here=self.enabled)
            ready, _, _ = select.select(self._group.sockets, [], [], _LOOK_S)
            for one in ready:
                try:
                    heard = self._group.receive(one)
                except OSError as error:
                    if error.errno != errno.ENETDOWN:
                        _LOG.exception("discovery has ended")
                        return
                    continue
                target = searched(heard.data)
                if target is not None and self.enabled and self._is_allowed():
                    self._answer(target, heard, one)
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
        for name in self.interfaces:
            address = self._host or self._group.address(name)
            if address is None:
                continue
            try:
                self._group.send(name, self._notice(what, address))
            except OSError as error:
                _LOG.info("%s was not sent on %s: %s", what, name, error)

    def _notice(self, what: str, address: str) -> bytes:
        lines = [
            "NOTIFY * HTTP/1.1",
            f"HOST: {self._group.name}",
            f"NT: {REDFISH}",
            f"NTS: {what}",
            f"USN: uuid:{self._uuid}::{REDFISH}",
        ]
        if what == "ssdp:alive":
            lines += [f"CACHE-CONTROL: max-age={_VALID_S}", f"AL: {self._root(address)}"]
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def _root(self, address: str) -> str:
        return f"https://{address}:{self._lifecycle.port}/redfish/v1/"

    def _answer(self, target: str, heard: Heard, at: socket.socket) -> None:
        """Say where the service is: at its own address, or at that which was asked."""
        address = self._host or heard.address
        if address is None or self._lifecycle.port is None:
            return
        try:
            at.sendto(self._message(address), heard.sender)
        except OSError as error:
            _LOG.info("no answer to a search for %s from %s: %s", target, heard.sender[0], error)

    def _message(self, address: str) -> bytes:
        return (
            "HTTP/1.1 200 OK\r\n"
            f"CACHE-CONTROL: max-age={_VALID_S}\r\n"
            "EXT:\r\n"
            f"ST: {REDFISH}\r\n"
            f"USN: uuid:{self._uuid}::{REDFISH}\r\n"
            f"AL: {self._root(address)}\r\n\r\n"
        ).encode("ascii")

    def _is_allowed(self) -> bool:
        now_s = time.monotonic()
        grown = self._room + (now_s - self._filled_s) * _ANSWERS_PER_S
        self._room, self._filled_s = min(_ANSWERS_PER_S, grown), now_s
        if self._room < 1.0:
            return False
        self._room -= 1.0
        return True


def _in_uri(host: str) -> str | None:
    """A host as a URI holds it; None for a wildcard address."""
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        return host
    if address.is_unspecified:
        return None
    return f"[{address.compressed}]" if address.version == 6 else host


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
