"""Linux's sensors in a tree of files as the kernel shows them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.engine import DeviceSpec, Engine
from drivers.errors import TargetError, TransportError
from drivers.profile import load_profile
from drivers.protocols.sysfs import SYSFS, SysfsTarget, SysfsTransport, SysfsWrite
from drivers.protocols.sysfs_chip import Place
from drivers.reading import Quality
from drivers.simulation.point_values import PointValues
from drivers.simulation.sysfs_tree import SysfsTree

Wait = Callable[[Callable[[], bool], float], float]


def chip(root: Path, entry: str, device: str = "", **files: str) -> Path:
    """A chip's directory; `name` is among the files."""
    folder = root / entry
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    if device:
        home = root.parent / "bus" / device
        home.mkdir(parents=True, exist_ok=True)
        (folder / "device").symlink_to(home)
    return folder


class Reader(SysfsTransport):
    """The transport as the engine would ask it for one target."""

    def __init__(self, target: SysfsTarget) -> None:
        super().__init__()
        self._own = target.unit

    def read(self, _unit: int, request: Any, timeout_s: float) -> list[float]:
        """Of the target's chip."""
        return super().read(self._own, request, timeout_s)

    def write(self, _unit: int, request: Any, timeout_s: float) -> None:
        """To the target's chip."""
        super().write(self._own, request, timeout_s)


@pytest.fixture
def transport(tmp_path: Path) -> Any:
    """A transport to the chip named tmp75 below tmp_path/hwmon."""
    found = Reader(SysfsTarget(str(tmp_path / "hwmon"), "tmp75"))
    yield found
    found.close()


_T1 = Place(file="temp1_input")
_T2 = Place(file="temp2_input")


def test_a_chip_is_found_by_its_name_whatever_its_number(
    tmp_path: Path, transport: SysfsTransport
) -> None:
    """Numbers move across boots and drivers: the content of the name file decides, each time."""
    root = tmp_path / "hwmon"
    chip(root, "hwmon0", name="coretemp", temp1_input="99000")
    first = chip(root, "hwmon1", name="tmp75", temp1_input="25000")
    assert transport.read(1, (_T1,), 1.0) == [25000.0]
    (first / "temp1_input").write_text("25500\n")
    assert transport.read(1, (_T1,), 1.0) == [25500.0]
    for file in first.iterdir():
        file.unlink()
    first.rmdir()
    with pytest.raises(TransportError, match="no such chip"):
        transport.read(1, (_T1,), 1.0)
    chip(root, "hwmon7", name="tmp75", temp1_input="26000")
    assert transport.read(1, (_T1,), 1.0) == [26000.0]


def test_chips_of_one_name_are_told_apart_by_their_device(tmp_path: Path) -> None:
    """Two of a name are refused with what there is; the I2C address chooses."""
    root = tmp_path / "hwmon"
    chip(root, "hwmon0", "1-0048", name="tmp75", temp1_input="20000")
    chip(root, "hwmon1", "1-0049", name="tmp75", temp1_input="21000")
    with pytest.raises(TransportError, match=r"2 chips have this name \(1-0048, 1-0049\)"):
        Reader(SysfsTarget(str(root), "tmp75")).read(1, (_T1,), 1.0)
    chosen = Reader(SYSFS.parse_target(f"sysfs://{root}?name=tmp75&device=1-0049"))
    assert chosen.read(1, (_T1,), 1.0) == [21000.0]
    chosen.close()


def test_chips_of_one_adapter_share_a_thread_and_nothing_else(
    tmp_path: Path, run_engine: Callable[..., Engine], wait_until: Wait
) -> None:
    """They wait for one wire anyway; one of them that is gone costs the other nothing."""
    root = tmp_path / "hwmon"
    chip(root, "hwmon0", "1-0048", name="tmp75", temp1_input="20000")
    chip(root, "hwmon1", "2-0048", name="tmp75", temp1_input="22000")
    targets = [f"sysfs://{root}?name=tmp75&device={d}" for d in ("1-0048", "1-0049", "2-0048")]
    assert len({SYSFS.parse_target(target).bus for target in targets}) == 2
    engine = run_engine(*(DeviceSpec(t[-6:], "linux.lm75", t) for t in targets))
    wait_until(lambda: engine.reading("1-0048", "temperature").quality is Quality.OK, 5.0)
    wait_until(lambda: engine.reading("2-0048", "temperature").quality is Quality.OK, 5.0)
    assert engine.reading("1-0048", "temperature").value == 20.0
    assert engine.reading("2-0048", "temperature").value == 22.0
    wait_until(lambda: engine.reading("1-0049", "temperature").quality is Quality.COMM_ERROR, 5.0)
    assert "no such chip" in (engine.statistics("1-0049").last_error or "")
    assert engine.statistics("1-0048").errors == 0


def test_a_label_leads_to_its_sensor(tmp_path: Path, transport: SysfsTransport) -> None:
    """Pmbus numbers its sensors as it finds them: vout1 is whichever label says so."""
    chip(
        tmp_path / "hwmon", "hwmon0", name="tmp75",
        in1_label="vin", in1_input="230000", in3_label="vout1", in3_input="12100",
        curr1_label="iout1", curr1_input="41000",
    )  # fmt: skip
    places = [
        Place(kind="in", labels=("vout", "vout1")),
        Place(kind="curr", labels=("iout1",)),
        _T1,
    ]
    places.append(Place(kind="in", labels=("vout2",)))
    numbers = transport.read(1, places, 1.0)
    assert numbers == pytest.approx([12100, 41000, float("nan"), float("nan")], nan_ok=True)


@pytest.mark.parametrize(
    ("files", "number"),
    [
        ({"in_temp_raw": "1234", "in_temp_offset": "-605", "in_temp_scale": "31.25"}, 19656.25),
        ({"in_temp_input": "23437", "in_temp_raw": "1", "in_temp_scale": "9"}, 23437.0),
        ({"in_temp_raw": "77"}, 77.0),
    ],
)
def test_an_iio_channel_is_scaled_by_what_the_kernel_says(
    tmp_path: Path, transport: SysfsTransport, files: dict[str, str], number: float
) -> None:
    """(raw + offset) * scale, or the processed value where there is one."""
    chip(tmp_path / "hwmon", "iio:device0", name="tmp75", **files)
    assert transport.read(1, (Place(channel="in_temp"),), 1.0) == [number]


def test_a_scale_that_changes_is_used_at_once(tmp_path: Path, transport: SysfsTransport) -> None:
    """An ADC whose range is switched: value and scale are read together each time."""
    folder = chip(
        tmp_path / "hwmon", "iio:device0", name="tmp75", in_voltage0_raw="100", in_voltage_scale="2"
    )
    assert transport.read(1, (Place(channel="in_voltage0"),), 1.0) == [200.0]
    (folder / "in_voltage_scale").write_text("0.5\n")
    assert transport.read(1, (Place(channel="in_voltage0"),), 1.0) == [50.0]


def test_a_sensor_at_fault_has_no_value(tmp_path: Path, transport: SysfsTransport) -> None:
    """temp1_fault says 1: an open diode's 127 degrees are not shown; no text is no number."""
    chip(
        tmp_path / "hwmon", "hwmon0", name="tmp75",
        temp1_input="127000", temp1_fault="1", temp2_input="24000", temp2_fault="0",
        temp3_input="?",
    )  # fmt: skip
    numbers = transport.read(1, (_T1, _T2, Place(file="temp3_input")), 1.0)
    assert numbers == pytest.approx([float("nan"), 24000.0, float("nan")], nan_ok=True)


def _fail(monkeypatch: pytest.MonkeyPatch, path: Path, code: int) -> None:
    """Let pread of that file fail, as a kernel driver would let it."""
    pread = os.pread
    wanted = path.stat().st_ino

    def failing(descriptor: int, count: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == wanted:
            raise OSError(code, os.strerror(code))
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", failing)


@pytest.mark.parametrize("code", [errno.ENODATA, errno.EAGAIN])
def test_a_sensor_without_data_is_absent(
    tmp_path: Path, transport: SysfsTransport, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """ENODATA and EAGAIN are the driver's words for: no value (now); the chip is there."""
    folder = chip(tmp_path / "hwmon", "hwmon0", name="tmp75", temp1_input="1", temp2_input="2")
    _fail(monkeypatch, folder / "temp1_input", code)
    assert transport.read(1, (_T1, _T2), 1.0) == pytest.approx([float("nan"), 2.0], nan_ok=True)
    assert transport.read(1, (_T1,), 1.0) == pytest.approx([float("nan")], nan_ok=True)


def test_a_bus_that_fails_is_an_error_and_one_sensor_of_many_is_absent(
    tmp_path: Path, transport: SysfsTransport
) -> None:
    """EIO from the kernel itself: /proc/self/mem has nothing at 0."""
    folder = chip(tmp_path / "hwmon", "hwmon0", name="tmp75", temp2_input="2")
    (folder / "temp1_input").symlink_to("/proc/self/mem")
    both = (_T1, _T2)
    assert transport.read(1, both, 1.0) == pytest.approx([float("nan"), 2.0], nan_ok=True)
    with pytest.raises(TransportError, match="Input/output error"):
        transport.read(1, (_T1,), 1.0)
    (folder / "temp1_input").unlink()
    (folder / "temp1_input").write_text("7\n")
    assert transport.read(1, both, 1.0) == [7.0, 2.0]


def test_a_chip_that_was_unbound_is_looked_for_anew(
    tmp_path: Path, transport: SysfsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENODEV of a kept descriptor: the chip is gone, nothing is kept open of it."""
    folder = chip(tmp_path / "hwmon", "hwmon0", name="tmp75", temp1_input="1")
    assert transport.read(1, (_T1,), 1.0) == [1.0]
    with monkeypatch.context() as patch:
        _fail(patch, folder / "temp1_input", errno.ENODEV)
        with pytest.raises(TransportError, match="No such device"):
            transport.read(1, (_T1,), 1.0)
    assert transport.read(1, (_T1,), 1.0) == [1.0]


def test_a_limit_is_written(tmp_path: Path, transport: SysfsTransport) -> None:
    """A writable attribute gets a whole number; one that is not there is an error that names it."""
    folder = chip(tmp_path / "hwmon", "hwmon0", name="tmp75", pwm1="0")
    transport.write(1, SysfsWrite("pwm1", 128), 1.0)
    assert (folder / "pwm1").read_text() == "128\n"
    (folder / "gone").mkdir()
    with pytest.raises(TransportError, match="gone: Is a directory"):
        transport.write(1, SysfsWrite("gone", 1), 1.0)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("sysfs:///sys/class/hwmon", "is not sysfs"),
        ("sysfs:///sys/class/hwmon?name=", "is not sysfs"),
        ("sysfs://host/sys/class/hwmon?name=a", "is not sysfs"),
        ("sysfs:///sys/class/hwmon?name=a&index=3", "unknown option 'index'"),
        ("sysfs:///sys/class/hwmon?name=a&name=b", "is not sysfs"),
    ],
)
def test_a_target_that_is_wrong_is_named(target: str, reason: str) -> None:
    """Each fault of a target is told."""
    with pytest.raises(TargetError, match=reason):
        SYSFS.parse_target(target)


def test_no_profile_reads_a_file_outside_the_chip(tmp_path: Path) -> None:
    """A point's file is a plain name: a hostile profile cannot climb out of the directory."""
    text = load_profile("linux.lm75").path.read_text()
    path = tmp_path / "climber.yaml"
    path.write_text(text.replace("temp1_input}", "../../secret}"))
    with pytest.raises(Exception, match=r"points/temperature/at/?.*"):
        load_profile(path)


def test_the_engine_loses_and_finds_a_chip(
    tmp_path: Path, run_engine: Callable[..., Engine], wait_until: Wait
) -> None:
    """Unplugged: comm-error; plugged in again under another number: ok with the new value."""
    values = PointValues(load_profile("linux.pmbus_psu"))
    values.update({"power.in": 548.0, "fan.1": None, "temperature.1": 31.25})
    tree = SysfsTree(values, tmp_path / "hwmon", "pmbus", "hwmon0", device="3-0058")
    tree.plug()
    engine = run_engine(DeviceSpec("psu", "linux.pmbus_psu", f"{tree.target}&device=3-0058"))
    wait_until(lambda: engine.reading("psu", "power.in").quality is Quality.OK, 5.0)
    assert engine.reading("psu", "power.in").value == pytest.approx(548.0)
    assert engine.reading("psu", "temperature.1").value == pytest.approx(31.25)
    assert engine.reading("psu", "fan.1").quality is Quality.ABSENT
    tree.unplug()
    wait_until(lambda: engine.reading("psu", "power.in").quality is Quality.COMM_ERROR, 3.0)
    values.set("power.in", 601.0)
    back = SysfsTree(values, tmp_path / "hwmon", "pmbus", "hwmon9", device="3-0058")
    back.plug()
    wait_until(lambda: engine.reading("psu", "power.in").value == pytest.approx(601.0), 10.0)


def test_no_more_files_are_kept_open_than_agreed(tmp_path: Path, transport: SysfsTransport) -> None:
    """Ever new requests do not use up the process's descriptors; closing gives all back."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    chip(tmp_path / "hwmon", "hwmon0", name="tmp75", **{f"temp{k}_input": "1" for k in range(1, 9)})
    for number in range(500):
        places = tuple(Place(file=f"temp{1 + (number + k) % 8}_input") for k in range(2))
        assert transport.read(1, places, 1.0) == [1.0, 1.0]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 130
    transport.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
