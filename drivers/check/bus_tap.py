"""A tap between the driver and a device: records every byte with its time, and can pull the cable.

The driver connects to the tap, a TCP port on this machine or a pty, and the tap to the device. What
is recorded is what went over the wire, whatever library spoke.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import termios
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import serial

from drivers.errors import TransportError
from drivers.profile_types import Transport as TransportSettings

_CONNECT_S = 2.0
# A device that takes one client only refuses others for a moment after that has gone.
_BUSY_S = 0.5
_MOST_BYTES = 4096
# A frame's bytes may come in pieces; these belong together when they are at most so far apart.
_FRAME_GAP_S = 0.02
_TICK_S = 0.05
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Record:
    """What went over the bus at `time_s` (Unix): `request` or `reply` bytes, or an `event`."""

    time_s: float
    kind: str
    data: bytes = b""
    text: str = ""


class BusTap:
    """A running tap; `target` is what the driver is given in the device's place."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.records: list[Record] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus tap", daemon=True)

    def start(self) -> None:
        """Begin to carry bytes."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and let go of the device."""
        self._stopping.set()
        self._thread.join()

    def pull(self, outage_s: float, *, silently: bool) -> None:
        """Take the connection away for so long; `silently` as a pulled cable, else by closing it.

        A device does not notice a pulled cable: for it the old connection goes on.
        """
        raise NotImplementedError

    def note(self, text: str) -> None:
        """An event of its own in the record."""
        self.records.append(Record(time.time(), "event", text=text))

    def _carried(self, kind: str, data: bytes) -> None:
        now = time.time()
        last = self.records[-1] if self.records else None
        if last is not None and last.kind == kind and now - last.time_s < _FRAME_GAP_S:
            self.records[-1] = Record(last.time_s, kind, last.data + data)
        else:
            self.records.append(Record(now, kind, data))

    def _run(self) -> None:
        raise NotImplementedError


class TcpTap(BusTap):
    """In front of a TCP device: `scheme://127.0.0.1:PORT` with the target's own path and query."""

    def __init__(self, target: str, host: str, port: int) -> None:
        self._device = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        parts = urlsplit(target)
        super().__init__(urlunsplit(parts._replace(netloc=f"127.0.0.1:{self._port}")))
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._dangling: list[socket.socket] = []
        self._pulls: list[tuple[float, bool]] = []
        self._back_at: float | None = None

    def pull(self, outage_s: float, *, silently: bool) -> None:
        """See BusTap."""
        self._pulls.append((outage_s, silently))

    def release(self) -> None:
        """Close what a silent pull left behind at the device."""
        while self._dangling:
            self._dangling.pop().close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._pulls:
                self._take_away(*self._pulls.pop(0))
            if self._back_at is not None and time.monotonic() >= self._back_at:
                self._bring_back()
            self._carry()
        self._listener.close()
        for client in list(self._pairs):
            self._drop(client)
        self.release()

    def _carry(self) -> None:
        ends = [end for pair in self._pairs.items() for end in pair]
        listening = [self._listener] if self._back_at is None else []
        ready, _, _ = select.select([*listening, *ends], [], [], _TICK_S)
        for end in ready:
            if end is self._listener:
                self._accept()
            elif end in self._pairs:
                self._pass_on(end, end, self._pairs[end], "request")
            else:
                client = next((c for c, device in self._pairs.items() if device is end), None)
                if client is not None:
                    self._pass_on(client, end, client, "reply")

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            device = self._connect()
        except OSError as error:
            self.note(f"no connection to {self._device[0]}:{self._device[1]}: {error}")
            _reset(client)
            return
        for end in (client, device):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(_CONNECT_S)
        self.note("connected")
        self._pairs[client] = device

    def _connect(self) -> socket.socket:
        """A connection to the device, which may need a moment after the one before."""
        until = time.monotonic() + _BUSY_S
        while True:
            try:
                return socket.create_connection(self._device, _CONNECT_S)
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise
                time.sleep(_TICK_S)

    def _pass_on(
        self, client: socket.socket, source: socket.socket, sink: socket.socket, kind: str
    ) -> None:
        try:
            data = source.recv(_MOST_BYTES)
            if data:
                self._carried(kind, data)
                sink.sendall(data)
                return
        except OSError:
            pass
        self.note(f"closed by the {'driver' if kind == 'request' else 'device'}")
        self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        self._pairs.pop(client).close()
        client.close()

    def _take_away(self, outage_s: float, silently: bool) -> None:
        self.note("cable pulled" if silently else "connection closed by the bench")
        for client, device in list(self._pairs.items()):
            _reset(client)
            if silently:
                self._dangling.append(device)
            else:
                device.close()
        self._pairs.clear()
        # Nobody listens while the cable is out.
        self._listener.close()
        self._back_at = time.monotonic() + outage_s

    def _bring_back(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._back_at = None
        self.note("cable back")


def _reset(end: socket.socket) -> None:
    """Close as a dead connection does, without a goodbye."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    end.close()


class SerialTap(BusTap):
    """In front of a serial line: a pty; raises TransportError when the line cannot be opened."""

    def __init__(self, target: str, path: str, baud: int, framing: str) -> None:
        pty = Path(path).resolve().is_relative_to("/dev/pts")  # has no framing, refuses one
        framing = "8N1" if pty else framing
        try:
            self._line = serial.Serial(
                path, baud, parity=framing[1], stopbits=int(framing[2]), exclusive=True
            )
        except (OSError, termios.error, ValueError) as error:
            raise TransportError(f"{path}: {error}", connected=False) from error
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        parts = urlsplit(target)
        super().__init__(urlunsplit(parts._replace(path=os.ttyname(self._slave))))
        self._pulled_until = 0.0

    def pull(self, outage_s: float, *, silently: bool) -> None:
        """See BusTap; a line has no connection to close, only a cable."""
        self.note("cable pulled" if silently else "line cut by the bench")
        self._pulled_until = time.monotonic() + outage_s

    def _run(self) -> None:
        line = self._line.fileno()
        ways = {self._master: (line, "request"), line: (self._master, "reply")}
        try:
            while not self._stopping.is_set():
                ready, _, _ = select.select(list(ways), [], [], _TICK_S)
                for end in ready:
                    sink, kind = ways[end]
                    data = os.read(end, _MOST_BYTES)
                    if time.monotonic() >= self._pulled_until:
                        self._carried(kind, data)
                        os.write(sink, data)
        except OSError as error:
            self.note(f"the line is gone: {error}")
        finally:
            self._line.close()
            os.close(self._master)
            os.close(self._slave)


def tap_for(text: str, target: Any, settings: TransportSettings) -> TcpTap | SerialTap | None:
    """The tap for a target of that text, not yet started; None where no byte stream can be tapped.

    `target` is the text as its protocol parsed it. Raises TransportError as SerialTap does.
    """
    parts = urlsplit(text)
    if parts.scheme.endswith("tcp") and parts.hostname:
        port = parts.port or getattr(target, "port", None) or settings.port
        return TcpTap(text, parts.hostname, port)
    if parts.scheme.endswith("serial"):
        baud = getattr(target, "baud", None) or settings.baud[0]
        framing = getattr(target, "framing", None) or settings.framing
        return SerialTap(text, parts.path, baud, framing)
    return None
