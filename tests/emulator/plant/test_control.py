"""The control socket and its client."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from emulator.plant.client import PlantControl
from emulator.plant.errors import ControlError

Plant = Any  # the PlantProcess of conftest.py, a module that tests cannot import


@pytest.mark.parametrize(
    ("request_line", "words"),
    [
        (b"not json", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "op: None is none of ping, truth"),
        (b'{"op": "explode"}', "'explode' is none of"),
        (b'{"op": "device_stop", "id": "loop_z_flow"}', "no device 'loop_z_flow'"),
        (b'{"op": "device_start"}', "id: a text is wanted"),
        (b'{"op": "device_ignore_writes", "id": "loop_a_pump"}', "ignore: true or false"),
        (b'{"op": "workload_remove", "id": "nobody"}', "no workload 'nobody'"),
        (b'{"op": "workload", "id": "w", "start_unix_s": "now"}', "start_unix_s: a number"),
        (
            b'{"op": "workload", "id": "w", "start_unix_s": 1, "end_unix_s": 0, "baseline_w": 0,'
            b' "peak_w": 1, "max_w": 1, "ramp_w_per_s": 1}',
            "end_unix_s must be after",
        ),
    ],
)
def test_wrong_requests_are_refused_with_a_reason(
    plant: Plant, request_line: bytes, words: str
) -> None:
    """A wrong request is answered with the reason, on a connection that stays usable."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(plant.ready["control"])
        with line.makefile("rwb") as stream:
            for request in (request_line, b'{"op": "ping"}'):
                stream.write(request + b"\n")
            stream.flush()
            refused, pong = (json.loads(stream.readline()) for _ in range(2))
    assert refused["ok"] is False
    assert words in refused["error"]
    assert pong == {"ok": True}


def test_control_client_reports_refusals(plant: Plant, tmp_path: Path) -> None:
    """The client raises the plant's reason and works on; without a plant it says so."""
    plant.control.ping()
    with pytest.raises(ControlError, match="no device 'atlantis'"):
        plant.control.device_stop("atlantis")
    plant.control.ping()
    with pytest.raises(ControlError, match="no plant answers"):
        PlantControl(tmp_path / "nothing.sock")
