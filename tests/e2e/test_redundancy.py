"""Certificates and redundant sensors over real devices, through a real service, on both faces.

The meters and flow sensors are pymodbus servers, processes of their own; what they read is written
into them by a pymodbus client: it is the truth that the answers are held against.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import COMMAND, Running, running, wait_for
from pymodbus.client import ModbusTcpClient

POWER = "/redfish/v1/dcpi/power/realtime"
THERMAL = "/redfish/v1/dcpi/thermal/status"
MODBUS_SERVER = Path(__file__).resolve().parents[1] / "drivers" / "independent_modbus_server.py"
WAVEFORM_SOURCE = Path(__file__).with_name("waveform_source.py")


def words(value: float, *, low_first: bool = False) -> list[int]:
    """A float32 as two registers."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [low, high] if low_first else [high, low]


class Device:
    """An independent Modbus device with one block of registers from address 0."""

    def __init__(self, registers: list[int], port: int = 0) -> None:
        self.registers = registers
        spec = {"port": port, "unit": 1, "registers": {0: registers}}
        self.process = subprocess.Popen(
            [sys.executable, MODBUS_SERVER, json.dumps(spec)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port: int = json.loads(self.process.stdout.readline())["port"]
        # It reports every request: nobody else reads that.
        self._drain = subprocess.Popen(
            ["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL
        )

    def write(self, address: int, values: list[int]) -> None:
        """Let it read something else from now on."""
        with ModbusTcpClient("127.0.0.1", port=self.port) as client:
            assert not client.write_registers(address, values, device_id=1).isError()

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.wait()
        self._drain.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def meter_words(power_w: float) -> list[int]:
    """Registers 0x0C to 0x35 of an SDM630: power of the phases and in total."""
    image = [0] * (0x36 - 0x0C)
    for address, value in ((0x0C, power_w / 3), (0x0E, power_w / 3), (0x10, power_w / 3)):
        image[address - 0x0C : address - 0x0A] = words(value)
    image[0x34 - 0x0C :] = words(power_w)
    return image


class Meter(Device):
    """An SDM630 on a line of 50 Hz."""

    def __init__(self, power_w: float, port: int = 0) -> None:
        image = [0] * 0x60
        image[0x0C:0x36] = meter_words(power_w)
        image[0x46:0x48] = words(50.0)
        super().__init__(image, port)

    def read(self, power_w: float) -> None:
        """Let it read this power."""
        self.write(0x0C, meter_words(power_w))


class FlowSensor(Device):
    """A TUF-2000M; low word first, m³/h."""

    def __init__(self, flow_lpm: float) -> None:
        image = [0] * 100
        image[0:2] = words(flow_lpm * 0.06, low_first=True)
        image[6:8] = words(1500.0, low_first=True)
        image[91] = 87
        super().__init__(image)

    def read(self, flow_lpm: float) -> None:
        """Let it read this flow."""
        self.write(0, words(flow_lpm * 0.06, low_first=True))


def thermometer(*temperatures_c: float) -> Device:
    """An ADAM-6015: 0 to 65535 is -50 to 150 °C."""
    raw = [round((value + 50) / 200 * 65535) for value in temperatures_c]
    return Device([*raw, *[30_000] * (10 - len(raw))])


@contextlib.contextmanager
def source(*arguments: float) -> Iterator[int]:
    """A waveform source; its port."""
    process = subprocess.Popen(
        [sys.executable, WAVEFORM_SOURCE, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def certificate(folder: Path, sensor: str, unit: str, ranges: str, **others: str) -> None:
    """One calibration file."""
    folder.mkdir(exist_ok=True)
    members = {"certificate": f"CAL-{sensor}", "calibrated_on": "2026-11-01", **others}
    lines = [f"sensor: {sensor}", f"unit: {unit}", *(f"{k}: {v}" for k, v in members.items())]
    (folder / f"{sensor.replace('/', '_')}.yaml").write_text(
        "\n".join([*lines, f"ranges: [{ranges}]", ""]), encoding="utf-8"
    )


@contextlib.contextmanager
def service(folder: Path, text: str) -> Iterator[Running]:
    """The sidecar over this configuration."""
    config = folder / "service.yaml"
    config.write_text(
        f"facility: {{id: bench, rated_power_w: 1.0e+6}}\nstate_dir: state\n"
        f"calibration_dir: calibrations\n{text}",
        encoding="utf-8",
    )
    subprocess.run(
        [COMMAND, "serve", "--config", config, "--set-password", "admin"],
        input="bench-secret\nbench-secret\n",
        text=True,
        check=True,
        capture_output=True,
    )
    with running("serve", "--config", config, "--port", 0) as it:
        it.user, it.password = "admin", "bench-secret"
        yield it


def feed(bmc: Running) -> dict[str, Any]:
    """The one feed on the Redfish face."""
    answer = bmc.ask("GET", POWER)
    if answer.status != 200:
        return {}
    return {"WindowId": answer.body["WindowId"], **answer.body["Feeds"][0]}


def states(part: dict[str, Any]) -> dict[str, str]:
    """State of each member of a redundant feed or reading."""
    return {member["Sensor"]: member["State"] for member in part["Redundancy"]["Members"]}


def kinds(part: dict[str, Any]) -> set[tuple[str, str]]:
    """What the Conditions of a Status say, and of which sensor."""
    found = part["Status"].get("Conditions", [])
    return {(entry["MessageId"], entry["MessageArgs"][0]) for entry in found}


def settled(ask: Callable[[], dict[str, Any]], expected: dict[str, str]) -> dict[str, Any]:
    """The part as soon as its members have these states."""

    def found() -> dict[str, Any] | None:
        part = ask()
        return part if part.get("Redundancy") and states(part) == expected else None

    return dict(wait_for(found, 30, f"the members are {expected}"))


def told(bmc: Running, path: str, find: Callable[[Any], Any], expected: list[str]) -> Any:
    """The message as soon as the members that `find` finds in it have these states."""

    def found() -> Any:
        body = bmc.get(path)
        redundancy = find(body)["redundancy"]
        same = redundancy and [entry["state"] for entry in redundancy["members"]] == expected
        return body if same else None

    return wait_for(found, 30, f"the message's members are {expected}")


OVERDUE = ("Dcpi.1.0.CalibrationOverdue", "meter-2/power.active.total")
LOST = "Dcpi.1.0.SensorLost"
DISAGREES = "Dcpi.1.0.SensorDisagrees"


def test_three_meters_one_killed_one_biased_one_stuck(tmp_path: Path) -> None:
    """The feed reads the truth throughout, says what is wrong, and its energy never jumps."""
    truth_w = 12_000.0
    within = "{from: 0, to: 20000, gain: 1.02, uncertainty: {pct_reading: 0.2}}"
    total = "power.active.total"
    certificate(tmp_path / "calibrations", f"meter-1/{total}", "W", within)
    within = "{from: 0, to: 20000, uncertainty: {pct_reading: 0.3}}"
    certificate(tmp_path / "calibrations", f"meter-2/{total}", "W", within, due="2026-11-02")
    meters = [Meter(truth_w / 1.02), Meter(truth_w + 12.0), Meter(truth_w - 12.0)]
    devices = "".join(
        f"  - {{id: meter-{number}, profile: eastron.sdm630, "
        f"target: 'tcp://127.0.0.1:{meter.port}'}}\n"
        for number, meter in enumerate(meters, 1)
    )
    members = ", ".join(f"{{meter: meter-{number}}}" for number in (1, 2, 3))
    text = (
        f"devices:\n{devices}feeds:\n  - {{id: f, rated_power_w: 2.0e+4, members: [{members}]}}\n"
    )
    try:
        with service(tmp_path, text) as bmc:
            _check_three_meters(bmc, meters, truth_w)
    finally:
        for meter in meters:
            if meter.process.poll() is None:
                meter.kill()
    assert bmc.output.count("overdue for calibration") == 1


def _check_three_meters(bmc: Running, meters: list[Meter], truth_w: float) -> None:
    seen: dict[int, float] = {}

    def ask() -> dict[str, Any]:
        body = feed(bmc)
        if body.get("Quality") == "ok":
            seen[body["WindowId"]] = body["EnergyImportkWh"]
        return body

    used_first = {"meter-1": "used", "meter-2": "agreeing", "meter-3": "agreeing"}
    body = settled(ask, used_first)
    assert body["PowerWatts"] == pytest.approx(truth_w, rel=1e-5)
    assert body["PowerUncertaintyWatts"] == pytest.approx(0.002 * truth_w, rel=1e-5)
    assert (body["Source"], body["Quality"], kinds(body)) == ("redundant", "ok", {OVERDUE})
    overdue = {entry["Sensor"]: entry["Overdue"] for entry in body["Calibrations"]}
    assert overdue == {
        "meter-1/power.active.total": False, "meter-2/power.active.total": True,
    }  # fmt: skip
    message = told(
        bmc, "/dcpi/power/realtime", lambda body: body["feeds"][0], [*used_first.values()]
    )["feeds"][0]
    assert message["power_uncertainty_mw"] == pytest.approx(0.002 * truth_w / 1e6, rel=1e-5)
    assert message["redundancy"]["members"][2]["power_mw"] == pytest.approx(
        (truth_w - 12.0) / 1e6, rel=1e-6
    )
    assert [entry["kind"] for entry in message["warnings"]] == ["calibration-overdue"]

    meters[0].kill()
    pair = settled(ask, {"meter-1": "lost", "meter-2": "used", "meter-3": "used"})
    assert pair["PowerWatts"] == pytest.approx(truth_w, rel=1e-5)
    assert (pair["Quality"], kinds(pair)) == ("ok", {OVERDUE, (LOST, "meter-1")})
    lost = next(entry for entry in pair["Status"]["Conditions"] if entry["MessageId"] == LOST)
    assert lost["Message"] == "meter-1 is lost: comm-error"

    meters[1].read(1.05 * truth_w)
    apart = settled(ask, {"meter-1": "lost", "meter-2": "used", "meter-3": "disagreeing"})
    # meter-2 has the smaller uncertainty: nobody can know that it is the wrong one, and it is said.
    assert apart["PowerUncertaintyWatts"] >= abs(apart["PowerWatts"] - truth_w)
    text = next(e["Message"] for e in apart["Status"]["Conditions"] if e["MessageId"] == DISAGREES)
    assert "which is right is unknown" in text

    meters[0] = Meter(truth_w / 1.02, meters[0].port)
    back = settled(ask, {"meter-1": "used", "meter-2": "disagreeing", "meter-3": "agreeing"})
    assert back["PowerWatts"] == pytest.approx(truth_w, rel=1e-5)
    assert (DISAGREES, "meter-2") in kinds(back)
    wait_for(lambda: ask() and max(seen) - min(seen) >= 5, 5, "half a second of answers")
    _check_energy(seen, truth_w)
    _check_etag(bmc)

    for meter, power_w in ((meters[0], 9000.0 / 1.02), (meters[2], 9001.0)):
        meter.read(power_w)  # meter-2 is stuck where it was
    stuck = settled(ask, {"meter-1": "agreeing", "meter-2": "disagreeing", "meter-3": "used"})
    assert stuck["PowerWatts"] == pytest.approx(9001.0, rel=1e-5)


def _check_etag(bmc: Running) -> None:
    """A warning that stands is state: while it stands no new window changes the ETag."""
    answers = []
    while len({answer.body["WindowId"] for answer in answers}) < 3:
        answers.append(bmc.ask("GET", POWER))
        assert len(answers) < 10_000, "the windows stand still"
    by_status: dict[str, set[str]] = {}
    for answer in answers:
        status = json.dumps(answer.body["Status"], sort_keys=True)
        by_status.setdefault(status, set()).add(answer.headers["etag"])
    assert all(len(etags) == 1 for etags in by_status.values())


def _check_energy(seen: dict[int, float], truth_w: float) -> None:
    """Between any two answers the energy is the windows' own: within what any member read."""
    known = sorted(seen.items())
    for (earlier, before_kwh), (later, after_kwh) in itertools.pairwise(known):
        mean_w = (after_kwh - before_kwh) * 3.6e6 / ((later - earlier) * 0.1)
        assert 0.99 * truth_w < mean_w < 1.06 * truth_w


def test_three_flow_sensors_of_a_loop(tmp_path: Path) -> None:
    """Heat comes from the vote; biased, stuck and killed sensors are named on both faces."""
    flows = [FlowSensor(1000.0), FlowSensor(1004.0), FlowSensor(1200.0)]
    adam = thermometer(30.0, 40.0)
    for channel in (0, 1):
        certificate(
            tmp_path / "calibrations",
            f"rtd/temperature.ch{channel}",
            "Cel",
            "{from: 0, to: 100, uncertainty: {abs: 0.05}}",
        )
    names = [f"flow-{number}/flow.volume" for number in (1, 2, 3)]
    devices = "".join(
        f"  - {{id: flow-{number}, profile: oem.tuf2000m, "
        f"target: 'tcp://127.0.0.1:{sensor.port}'}}\n"
        for number, sensor in enumerate(flows, 1)
    )
    text = (
        f"devices:\n{devices}"
        f"  - {{id: rtd, profile: advantech.adam6015, target: 'tcp://127.0.0.1:{adam.port}'}}\n"
        f"loops:\n  - {{id: loop, rated_flow_lpm: 2000, supply: rtd/temperature.ch0, "
        f"return: rtd/temperature.ch1, flow: [{', '.join(names)}]}}\n"
    )
    try:
        with service(tmp_path, text) as bmc:
            _check_three_flows(bmc, flows, names)
    finally:
        for device in (*flows, adam):
            if device.process.poll() is None:
                device.kill()


def _check_three_flows(bmc: Running, flows: list[FlowSensor], names: list[str]) -> None:
    def ask() -> dict[str, Any]:
        answer = bmc.ask("GET", THERMAL)
        if answer.status != 200 or answer.body["Loops"][0]["Quality"] != "ok":
            return {}
        loop = answer.body["Loops"][0]
        flow = next(e for e in loop["Readings"] if e["Quantity"] == "FlowLitersPerMinute")
        return {**loop, **flow}

    loop = settled(ask, dict(zip(names, ("agreeing", "used", "disagreeing"), strict=True)))
    assert loop["FlowLitersPerMinute"] == pytest.approx(1004.0, rel=1e-5)
    # ρ(30)·cp(35) of water, IAPWS-95: 995.6 kg/m³ and 4178 J/(kg·K); 10 K within the converter.
    assert loop["HeatWatts"] == pytest.approx(995.6 * 4178.0 / 60_000 * 1004.0 * 10, rel=5e-3)
    share = (0.01**2 + 2 * (0.05 / 10) ** 2) ** 0.5  # flow 1 %, two certificates of 0.05 K
    assert loop["HeatUncertaintyWatts"] / loop["HeatWatts"] == pytest.approx(share, rel=0.01)
    assert kinds(loop) == {(DISAGREES, names[2])}
    message = told(
        bmc,
        "/dcpi/thermal/status",
        lambda body: body["loops"][0]["readings"]["flow_lpm"],
        ["agreeing", "used", "disagreeing"],
    )["loops"][0]
    supply = message["readings"]["supply_temperature_c"]
    assert supply["uncertainty"] == 0.05
    assert supply["calibrations"][0]["due"] == "2027-05-01"

    for sensor, flow_lpm in zip(flows[:2], (1204.0, 1206.0), strict=True):
        sensor.read(flow_lpm)  # the third was right by chance: it stands still at 1200
    settled(ask, dict(zip(names, ("used", "agreeing", "agreeing"), strict=True)))
    flows[0].kill()
    pair = settled(ask, dict(zip(names, ("lost", "used", "used"), strict=True)))
    assert pair["FlowLitersPerMinute"] == pytest.approx(1203.0, rel=1e-5)
    assert kinds(pair) == {(LOST, names[0])}
