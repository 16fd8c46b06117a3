"""A vendor's own protocol: an entry point, a profile, and the engine polls it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from drivers import protocol
from drivers.codec import PointCodec, Scaling
from drivers.engine import DeviceSpec, Engine
from drivers.errors import ProfileError, TransportError
from drivers.profile import load_profile
from drivers.reading import Quality

_PROFILE = """\
profile: device-profile/1
protocol: cells
id: acme.cells
vendor: Acme
model: Cells
kind: TemperatureModule
sources: [{ref: "none", verified: restated}]
transport: {timeout_ms: 100}
groups:
  fast: {every_ms: 100, source_ms: 100, stale_after_ms: 500}
points:
  inlet: {at: {cell: 3}, unit: "[degF]", scale: 0.1, range: [-40, 300], group: fast}
  pump: {at: {cell: 5}, unit: "%", range: [0, 100], group: fast, write: {range: [0, 100]}}
"""


@dataclass(frozen=True)
class _Target:
    bus: str


class _Wire:
    """Cells of memory in place of a device; a lost one does not answer."""

    def __init__(self) -> None:
        self.cells = {3: 770.0, 5: 40.0}
        self.lost = False

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def read(self, _unit: int, request: int, _timeout_s: float) -> float:
        """One cell."""
        if self.lost:
            raise TransportError("nobody answers")
        return self.cells[request]

    def write(self, _unit: int, request: tuple[int, float], _timeout_s: float) -> None:
        """Set one cell."""
        self.cells[request[0]] = request[1]


class _Plan:
    def __init__(self, codecs: Sequence[PointCodec]) -> None:
        self.requests = tuple(codec.point.at["cell"] for codec in codecs)
        self._scaling = Scaling(codecs)

    def decode(self, answers: Sequence[float]) -> Any:
        """One answer a point."""
        return self._scaling.apply(np.array(answers), np.isnan(answers))


class _Cells:
    """The protocol."""

    name = "cells"
    schemes = ("cells",)
    point_schema: Mapping[str, Any] = {
        "type": "object",
        "required": ["cell"],
        "properties": {"cell": {"type": "integer"}},
    }

    def __init__(self) -> None:
        self.wire = _Wire()

    def parse_target(self, text: str) -> _Target:
        """Any text."""
        return _Target(text)

    def transport(self, _target: Any, _settings: Any) -> _Wire:
        """The one wire."""
        return self.wire

    def plan(self, _profile: Any, codecs: Sequence[PointCodec]) -> _Plan:
        """A cell a point."""
        return _Plan(codecs)

    def heartbeat(self, _profile: Any) -> int:
        """Any cell."""
        return 3

    def write_request(self, codec: PointCodec, value: float) -> tuple[int, float]:
        """The cell and its number."""
        return codec.point.at["cell"], codec.to_device(value)


CELLS = _Cells()


@pytest.fixture
def plug_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two installed plug-ins: this module's and one that cannot be imported."""
    group = "dcpi_bmc.protocols"
    found = [
        EntryPoint("cells", f"{__name__}:CELLS", group),
        EntryPoint("broken", "no_such_module_at_all:X", group),
        EntryPoint("half", f"{__name__}:_PROFILE", group),
    ]
    monkeypatch.setattr(protocol, "entry_points", lambda **_: found)
    monkeypatch.setattr(EntryPoint, "load", lambda entry: _loaded(entry.value))
    protocol.protocols.cache_clear()
    yield
    protocol.protocols.cache_clear()


def _loaded(value: str) -> Any:
    module, _, attribute = value.partition(":")
    if module != __name__:
        raise ModuleNotFoundError(f"No module named {module!r}")
    return globals()[attribute]


def _write(folder: Path, text: str) -> Path:
    path = folder / "cells.yaml"
    path.write_text(text)
    return path


@pytest.mark.usefixtures("plug_ins")
def test_a_plugged_in_protocol_is_polled_and_written(
    tmp_path: Path,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Readings, loss, return and writes of a device whose protocol the project does not know."""
    path = _write(tmp_path, _PROFILE)
    engine = run_engine(DeviceSpec("t", str(path), "cells://here"))
    wait_until(lambda: engine.reading("t", "inlet").quality is Quality.OK, 3.0)
    reading = engine.reading("t", "inlet")
    assert reading.value == pytest.approx(25.0)  # 77 °F
    assert reading.unit == "Cel"
    assert engine.write("t", "pump", 55.0).status == "accepted"
    assert CELLS.wire.cells[5] == 55.0
    CELLS.wire.lost = True
    wait_until(lambda: engine.reading("t", "inlet").quality is Quality.COMM_ERROR, 2.0)
    CELLS.wire.lost = False
    wait_until(lambda: engine.reading("t", "inlet").quality is Quality.OK, 5.0)


class _Device(socketserver.StreamRequestHandler):
    """What the blueprint's device answers; cell 9 is absent, 8 speaks another language."""

    cells: ClassVar = {3: 770.0, 5: 40.0}

    def handle(self) -> None:
        """Line by line until the other side hangs up."""
        for line in self.rfile:
            word, cell, *value = line.decode().split()
            if word == "SET":
                self.cells[int(cell)] = float(value[0])
            answers = {9: "NONE", 8: "hello"} | self.cells
            answer = "OK" if word == "SET" else str(answers.get(int(cell), "ERROR"))
            self.wfile.write(f"{answer}\n".encode())


def test_the_blueprint_reads_and_writes_its_device(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """As a vendor copies it: a module, an entry point, a profile."""
    blueprint = files("drivers").joinpath("protocols/blueprint.py.txt").read_text("utf-8")
    (tmp_path / "acme_cells.py").write_text(blueprint)
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = EntryPoint("cells", "acme_cells:CELLS", "dcpi_bmc.protocols")
    monkeypatch.setattr(protocol, "entry_points", lambda **_: [entry])
    protocol.protocols.cache_clear()
    absent = "  none: {at: {cell: 9}, unit: V, group: fast}\n"
    path = _write(tmp_path, _PROFILE + absent)
    try:
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Device) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            target = f"cells://127.0.0.1:{server.server_address[1]}"
            engine = run_engine(DeviceSpec("t", str(path), target))
            wait_until(lambda: engine.reading("t", "inlet").quality is Quality.OK, 10.0)
            assert engine.reading("t", "inlet").value == pytest.approx(25.0)  # 77 °F
            assert engine.reading("t", "none").quality is Quality.ABSENT
            assert engine.write("t", "pump", 55.0, timeout_s=10.0).accepted == 55.0
            assert _Device.cells[5] == 55.0
            server.shutdown()
    finally:
        protocol.protocols.cache_clear()


@pytest.mark.usefixtures("plug_ins")
@pytest.mark.parametrize(
    ("was", "becomes", "reason"),
    [
        ("protocol: cells", "protocol: broken", r":2: protocol: protocol 'broken' .*cannot be"),
        ("protocol: cells", "protocol: half", ":2: protocol: protocol 'half' .*lacks name"),
        ("protocol: cells", "protocol: nobody", ":2: protocol: no protocol 'nobody'; .* modbus"),
        ("{cell: 3}", "{cell: x}", ":12: points/inlet/at/cell: 'x' is not of type 'integer'"),
        ("{cell: 3}", "{cell: 3}, addr: 7", ":12: points/inlet/addr: .* no such member"),
        ("at: {cell: 3}, ", "", ":12: points/inlet: .* a point stands at 'at'"),
    ],
)
def test_what_does_not_fit_is_a_profile_error(
    tmp_path: Path, was: str, becomes: str, reason: str
) -> None:
    """A broken plug-in, an unknown protocol and a wrong place each name file, line and reason."""
    assert was in _PROFILE
    with pytest.raises(ProfileError, match=reason):
        load_profile(_write(tmp_path, _PROFILE.replace(was, becomes)))
    assert load_profile("keller.33x").protocol == "modbus"
