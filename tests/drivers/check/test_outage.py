"""How a lost connection ends: with a device that lets go of it, and with one that does not."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from drivers.check.bus_tap import TcpTap
from drivers.check.outage import pulls
from drivers.engine import DeviceSpec, Engine
from drivers.profile import load_profile
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice

WaitUntil = Callable[[Callable[[], bool], float], float]


class OneClient:
    """A door before a server that lets one client in, and closes on every other meanwhile."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close everything."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        inside: tuple[socket.socket, ...] = ()
        while not self._stopping.is_set():
            for end in select.select([self._door, *inside], [], [], 0.02)[0]:
                if end is self._door:
                    client, _ = self._door.accept()
                    if inside:
                        client.close()
                    else:
                        inside = (client, socket.create_connection(self._server))
                elif inside:
                    data = self._received(end)
                    if data:
                        inside[1 - inside.index(end)].sendall(data)
                    else:
                        for each in inside:
                            each.close()
                        inside = ()
                        break
        for each in (self._door, *inside):
            each.close()

    @staticmethod
    def _received(end: socket.socket) -> bytes:
        try:
            return end.recv(4096)
        except OSError:
            return b""


@pytest.fixture
def keller(serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]) -> Iterator[int]:
    """The port of a pressure transmitter that takes one client."""
    device = SimulatedDevice(load_profile("keller.33x"))
    SimulatedBehaviour(device)
    door = OneClient(serve_tcp({1: device}).port)
    yield door.port
    door.stop()


def test_a_device_that_holds_a_dead_connection_is_found(
    keller: int, run_engine: Callable[..., Engine], wait_until: WaitUntil
) -> None:
    """A closed connection is overcome; a pulled cable only when its connection is closed, too."""
    tap = TcpTap(f"tcp://127.0.0.1:{keller}", "127.0.0.1", keller)
    tap.start()
    engine = run_engine(DeviceSpec("d", "keller.33x", tap.target))
    wait_until(lambda: engine.reading("d", "pressure.P1").quality is Quality.OK, 5.0)
    shares: list[float] = []
    closed, pulled = pulls(engine, "d", tap, 0.1, shares.append, patience_s=2.5)
    engine.stop()
    tap.stop()
    assert closed.recovered_s is not None
    assert pulled.recovered_s is None
    assert "held the dead connection" in pulled.note
    assert shares == [0.0, 0.5]


def test_nothing_is_pulled_where_nothing_was_read(
    run_engine: Callable[..., Engine],
) -> None:
    """A device that was never there has no connection to lose."""
    tap = TcpTap("tcp://127.0.0.1:9", "127.0.0.1", 9)
    tap.start()
    engine = run_engine(DeviceSpec("d", "keller.33x", tap.target))
    assert list(pulls(engine, "d", tap, 0.1, lambda _: None)) == []
    engine.stop()
    tap.stop()
