"""The control socket and its client."""

from __future__ import annotations

import json
import socket
import threading
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
        (b'{"op": "device_stop", "id": "loop_z_flow"}', "no device 'loop_z_flow'; known are loop_"),
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


def test_long_line_is_refused_once_and_the_connection_closed(plant: Plant) -> None:
    """A request above the longest line gets one answer, and nothing of it is taken for another."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(plant.ready["control"])
        with line.makefile("rwb") as stream:
            stream.write(b"y" * 200_000 + b"\n")
            stream.flush()
            refused = json.loads(stream.readline())
            assert stream.read() == b""
    assert (refused["ok"], refused["error"]) == (False, "a request is longer than 65536 bytes")


def test_deep_nesting_is_refused_with_a_reason(plant: Plant) -> None:
    """A request that nests deeper than the reader goes is answered like any that is no JSON."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(plant.ready["control"])
        with line.makefile("rwb") as stream:
            stream.write(b"[" * 60_000 + b"\n")
            stream.flush()
            assert "not JSON" in json.loads(stream.readline())["error"]


def test_client_stays_in_step_after_a_refused_long_line(plant: Plant) -> None:
    """The client hears why, and the next answer is the one to the next question."""
    with PlantControl(plant.ready["control"]) as control:
        with pytest.raises(ControlError, match="longer than 65536 bytes"):
            control.workload(
                "y" * 200_000,
                start_unix_s=0,
                end_unix_s=None,
                baseline_w=0,
                peak_w=1,
                max_w=1,
                ramp_w_per_s=1,
            )
        assert "feeds" in control.truth()
        control.ping()


@pytest.mark.parametrize("answer", [b"", b'{"ok": tr', b"nonsense\n", b"[]\n", b"{}\n"])
def test_client_connects_anew_after_an_answer_that_is_none(tmp_path: Path, answer: bytes) -> None:
    """A broken answer is an error, and the next request starts anew."""
    path = str(tmp_path / "plant.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with PlantControl(path) as control:
            threading.Thread(
                target=_answer_calls, args=(listener, answer, b'{"ok": true}\n')
            ).start()
            with pytest.raises(ControlError, match="plant"):
                control.ping()
            control.ping()


def _answer_calls(listener: socket.socket, *answers: bytes) -> None:
    """On a connection for each answer: read a line, answer, hang up."""
    for answer in answers:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.readline()
            stream.write(answer)
