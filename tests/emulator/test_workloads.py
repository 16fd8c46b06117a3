"""Orders as the plant hears them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.domain.workload import PowerOrder, resource_id
from emulator.plant.client import PlantControl
from emulator.workloads import PlantWorkloads


class Listener:
    """A control socket that takes everything and remembers it."""

    def __init__(self, path: Path) -> None:
        self.heard: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rwb") as stream:
            for line in stream:
                self.heard.append(json.loads(line))
                stream.write(b'{"ok": true}\n')
                stream.flush()

    def close(self) -> None:
        """Stop; the client has hung up."""
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    """A socket named plant.sock."""
    made = Listener(tmp_path / "plant.sock")
    yield made
    made.close()


@pytest.mark.parametrize("workload_id", ["plain-1", "", "a/b", "y" * 200_000])
def test_plant_knows_a_workload_by_its_plain_identity(
    listener: Listener, tmp_path: Path, workload_id: str
) -> None:
    """Whatever text a workload is called by, the plant hears a short plain identity, twice."""
    order = PowerOrder(workload_id, 1.0, None, 5.0, 10.0, 4.0, 1.0)
    with PlantControl(tmp_path / "plant.sock") as control:
        sink = PlantWorkloads(control)
        sink.on_workload(order)
        sink.on_removed(workload_id)
    told, removed = listener.heard
    assert told["id"] == removed["id"] == resource_id(workload_id)
    assert 0 < len(told["id"]) <= 128
    assert (told["baseline_w"], told["max_w"]) == (4.0, 4.0)
