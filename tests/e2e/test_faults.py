"""Faults of plant, devices and host in a running emulator: how they show, and that they heal."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from e2e.emulator_client import PASSWORD, USER, Running, emulator, unverified, wait_for
from e2e.fault_control import Faults

from drivers.profile import load_profile
from emulator.faults.cli import fault as fault_command
from emulator.plant.client import PlantControl
from emulator.plant.errors import ControlError

ROOT = "/redfish/v1"
SENSORS = f"{ROOT}/Chassis/DCPI/Sensors"
FLOW_A = f"{SENSORS}/Loop_liquid_cooling_loop_a_Flow"
FLOW_B = f"{SENSORS}/Loop_liquid_cooling_loop_b_Flow"
DETECTOR = f"{ROOT}/Chassis/DCPI/LeakDetectors/liquid_cooling_loop_b_cable"
LATE_S = 60  # on a slow machine


class Told:
    """The events that a client of the SSE stream has got."""

    def __init__(self, bmc: Running) -> None:
        self.records: list[dict[str, Any]] = []
        connection = http.client.HTTPSConnection("127.0.0.1", bmc.port, context=unverified())
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Accept": "text/event-stream"}
        connection.request("GET", f"{ROOT}/EventService/SSE", headers=headers)
        self._socket = connection.sock
        self._response = connection.getresponse()
        assert self._response.status == 200
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            for line in self._response:
                if line.startswith(b"data:"):
                    self.records += json.loads(line[5:])["Events"]

    def wait_for(self, message: str, origin: str) -> dict[str, Any]:
        """The first event of that key about that resource."""

        def found() -> dict[str, Any] | None:
            for record in list(self.records):
                about = record.get("OriginOfCondition", {}).get("@odata.id", "")
                if record["MessageId"].endswith(f".{message}") and about.startswith(origin):
                    return record
            return None

        return wait_for(found, LATE_S, f"{message} about {origin}")

    def close(self) -> None:
        """Hang up."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._response.close()
        self._socket.close()


@pytest.fixture(scope="module")
def listener(bmc: Running) -> Iterator[Told]:
    """A client that listens all the time."""
    it = Told(bmc)
    yield it
    it.close()


@pytest.fixture
def told(listener: Told) -> Told:
    """It, with the events of the test's own."""
    listener.records.clear()
    return listener


@pytest.fixture
def plant(bmc: Running) -> Iterator[PlantControl]:
    """The truth."""
    with PlantControl(bmc.state_dir / "plant" / "control.sock") as control:
        yield control


def true_flow(plant: PlantControl) -> float:
    """Of loop a."""
    return float(plant.truth()["loops"]["liquid_cooling_loop_a"]["flow_lpm"])


def flow(bmc: Running) -> float | None:
    """What is shown of loop a; a leap is unknown until time enough has passed for it."""
    reading: float | None = bmc.get(FLOW_A)["Reading"]
    return reading


def cooling(bmc: Running) -> dict[str, Any]:
    """The sensor of the cooling meter's power."""
    return bmc.get(f"{SENSORS}/Feed_cooling_Power")


def test_a_dead_meter_is_unknown_and_told(bmc: Running, faults: Faults, told: Told) -> None:
    """Null with comm-error and an event; the others go on; it heals with an event."""
    fault_id = faults.inject("dead", device="cooling_meter")
    lost = told.wait_for("DeviceLost", f"{SENSORS}/Device_cooling_meter_")
    assert lost["MessageArgs"] == ["cooling_meter"]
    body = cooling(bmc)
    assert body["Reading"] is None
    assert body["Oem"]["DCPI"]["Quality"] == "comm-error"
    assert bmc.get(f"{SENSORS}/Feed_battery_Power")["Reading"] is not None
    faults.control.clear(fault_id)
    told.wait_for("DeviceRestored", f"{SENSORS}/Device_cooling_meter_")
    wait_for(lambda: cooling(bmc)["Reading"] is not None, LATE_S, "a value again")


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("exceptions", {"share": 1}), ("drop-outs", {"share": 1}), ("slow", {"delay_s": 5})],
)
def test_a_device_that_fails_is_unknown_until_it_is_mended(
    bmc: Running, faults: Faults, kind: str, parameters: dict[str, float]
) -> None:
    """Refusals, silence and lateness: comm-error while they last, a value after."""
    fault_id = faults.inject(kind, device="cooling_meter", **parameters)
    quality = wait_for(
        lambda: cooling(bmc)["Reading"] is None and cooling(bmc)["Oem"]["DCPI"]["Quality"],
        LATE_S,
        kind,
    )
    assert quality == "comm-error"
    faults.control.clear(fault_id)
    wait_for(lambda: cooling(bmc)["Reading"] is not None, LATE_S, "a value again")


def test_a_stuck_sensor_holds_while_the_truth_moves(
    bmc: Running, faults: Faults, plant: PlantControl
) -> None:
    """A stopped pump takes the flow away; its stuck meter shows the flow that was."""
    before = true_flow(plant)
    stuck = faults.inject("stuck", device="loop_a_flow", point="flow.volume")
    pump = faults.inject("pump-stop", loop="liquid_cooling_loop_a")
    wait_for(lambda: true_flow(plant) < 0.1 * before, LATE_S, "the flow is gone")
    shown = {flow(bmc) for _ in range(3)} - {None}  # as long as it is believed
    assert len(shown) <= 1
    assert [*shown] == pytest.approx([before] * len(shown), rel=0.03)
    faults.control.clear(stuck)
    wait_for(lambda: (known := flow(bmc)) and known < 0.2 * before, LATE_S, "the truth")
    faults.control.clear(pump)
    wait_for(lambda: (known := flow(bmc)) and known > 0.9 * before, LATE_S, "the pump turns")


def test_a_stuck_sensor_is_flagged(bmc: Running, faults: Faults) -> None:
    """When its profile's time is over: null and stale at the sensor and in the loop, until mended.

    The other loops' sensors, which move, are well all the time.
    """
    after_s = load_profile("oem.tuf2000m").points["flow.volume"].stuck_after_s
    assert after_s is not None
    wait_for(lambda: flow(bmc) is not None, LATE_S, "a flow")
    fault_id = faults.inject("stuck", device="loop_a_flow", point="flow.volume")
    began_s = time.monotonic()
    wait_for(lambda: flow(bmc) is None, after_s + LATE_S, "it is not believed")
    assert time.monotonic() - began_s > after_s - 2
    body = bmc.get(FLOW_A)
    assert body["Oem"]["DCPI"]["Quality"] == "stale"
    assert body["Status"]["State"] == "UnavailableOffline"
    assert bmc.get(FLOW_B)["Oem"]["DCPI"]["Quality"] == "ok"
    loops = bmc.get("/dcpi/thermal/status")["loops"]
    told = {loop["system_id"]: (loop["flow_lpm"], loop["quality"]) for loop in loops}
    assert told["liquid_cooling_loop_a"] == (None, "stale")
    assert {told[f"liquid_cooling_loop_{name}"][1] for name in "bcd"} == {"ok"}
    faults.control.clear(fault_id)
    wait_for(lambda: flow(bmc) is not None, LATE_S, "a flow again")
    assert bmc.get(FLOW_A)["Status"]["State"] == "Enabled"


def test_a_noisy_sensor_scatters(bmc: Running, faults: Faults) -> None:
    """Its values spread about as far as the fault says, and before only a little."""

    def spread() -> float:
        seen: list[float] = []

        def more() -> bool:
            reading = bmc.get(FLOW_B)["Reading"]
            if reading is not None and reading not in seen:
                seen.append(reading)
            return len(seen) >= 6

        wait_for(more, LATE_S, "six values")
        return statistics.stdev(seen) / statistics.mean(seen)

    calm = spread()
    faults.inject("noise", device="loop_b_flow", point="flow.volume", amount="3%")
    assert 0.005 < spread() < 0.1
    assert calm < 0.003


def test_a_leak_is_critical_and_told(bmc: Running, faults: Faults, told: Told) -> None:
    """The detector is Critical and an event says so; it dries with an event."""
    fault_id = faults.inject("leak", loop="liquid_cooling_loop_b")
    event = told.wait_for("ResourceStatusChangedCritical", DETECTOR)
    assert event["MessageArgs"] == [DETECTOR, "Critical"]
    assert event["MessageSeverity"] == "Critical"
    body = bmc.get(DETECTOR)
    assert (body["DetectorState"], body["Status"]["Health"]) == ("Critical", "Critical")
    faults.control.clear(fault_id)
    told.wait_for("ResourceStatusChangedOK", DETECTOR)
    assert bmc.get(DETECTOR)["DetectorState"] == "OK"


def test_a_grid_dip_is_measured(bmc: Running, faults: Faults, told: Told) -> None:
    """A dip of the plant's voltage is seen by the sampling core in every hall's waveform."""
    faults.inject("grid-voltage", for_s=0.5, per_unit=0.7)
    assert told.wait_for("VoltageDip", f"{ROOT}/dcpi/power/events")
    assert told.wait_for("VoltageRestored", f"{ROOT}/dcpi/power/events")
    wait_for(lambda: faults.control.active() == [], LATE_S, "the fault ended by itself")


def supplies(bmc: Running) -> str:
    """The collection of the host's chassis."""
    members = [m["@odata.id"] for m in bmc.get(f"{ROOT}/Chassis")["Members"]]
    host = next(uri for uri in members if not uri.endswith("/DCPI"))
    subsystem = bmc.get(bmc.get(host)["PowerSubsystem"]["@odata.id"])
    return str(subsystem["PowerSupplies"]["@odata.id"])


@pytest.mark.parametrize(
    ("cause", "state", "line"),
    [
        ("failure", "UnavailableOffline", "Normal"),
        ("input", "UnavailableOffline", "LossOfInput"),
        ("removal", "Absent", None),
    ],
)
def test_a_lost_supply_shows_in_redundancy_and_is_told(
    bmc: Running, faults: Faults, told: Told, cause: str, state: str, line: str | None
) -> None:
    """One supply is Critical, the other well, redundancy gone; it heals with an event."""
    uri = supplies(bmc)
    subsystem, chassis = uri.removesuffix("/PowerSupplies"), "/".join(uri.split("/")[:5])
    fault_id = faults.inject("lost-supply", supply="PSU2", cause=cause)
    event = told.wait_for("ResourceStatusChangedCritical", f"{uri}/PSU2")
    assert event["EventType"] == "StatusChange"
    lost, other = bmc.get(f"{uri}/PSU2"), bmc.get(f"{uri}/PSU1")
    assert lost["Status"] == {"State": state, "Health": "Critical"}
    assert lost.get("LineInputStatus") == line
    assert other["Status"] == {"State": "Enabled", "Health": "OK"}
    body = bmc.get(subsystem)
    assert body["PowerSupplyRedundancy"][0]["Status"]["Health"] == "Warning"
    assert body["Status"]["HealthRollup"] == "Critical"
    assert bmc.get(chassis)["Status"]["HealthRollup"] == "Critical"
    faults.control.clear(fault_id)
    told.wait_for("ResourceStatusChangedOK", f"{uri}/PSU2")
    assert bmc.get(subsystem)["PowerSupplyRedundancy"][0]["Status"]["Health"] == "OK"
    assert bmc.get(chassis)["Status"]["HealthRollup"] == "OK"


def test_without_any_supply_the_systems_are_off(bmc: Running, faults: Faults) -> None:
    """Both supplies gone: power is off, and a reset is refused until one is back."""
    system = bmc.get(f"{ROOT}/Systems")["Members"][0]["@odata.id"]
    reset, on = f"{system}/Actions/ComputerSystem.Reset", {"ResetType": "On"}
    assert bmc.ask("POST", reset, on).status == 204
    assert bmc.get(system)["PowerState"] == "On"
    for supply in ("PSU1", "PSU2"):
        faults.inject("lost-supply", supply=supply)
    assert bmc.get(system)["PowerState"] == "Off"
    assert bmc.ask("POST", reset, on).status == 409
    faults.clear_all()
    assert bmc.ask("POST", reset, on).status == 204
    assert bmc.get(system)["PowerState"] == "On"
    assert bmc.ask("POST", reset, {"ResetType": "ForceOff"}).status == 204


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"op": "inject", "fault": {"fault": "explode"}}, "no fault 'explode' (there are: leak"),
        ({"op": "inject", "fault": {"fault": "leak", "loop": "x"}}, "no loop 'x'; known are"),
        ({"op": "inject", "fault": {"fault": "dead", "device": "x"}}, "no device 'x'; known are"),
        (
            {"op": "inject", "fault": {"fault": "lost-supply", "supply": "PSU9"}},
            "no power supply 'PSU9' (there are: PSU1, PSU2)",
        ),
        (
            {"op": "inject", "fault": {"fault": "lost-supply", "supply": "PSU1", "chassis": "x"}},
            "no chassis 'x'",
        ),
        ({"op": "inject", "fault": {"fault": "drop"}, "for_s": -1}, "for_s: a number of seconds"),
        ({"op": "inject", "fault": {"fault": "bias", "device": "loop_a_flow",
          "amount": float("nan")}}, "not a finite number"),
        ({"op": "inject"}, "a mapping is wanted, not nothing"),
        ({"op": "inject", "fault": {"fault": "drop", "bmc": 2}}, "bmc: no BMC 2 (there is BMC 1)"),
        ({"op": "clear", "id": "99"}, "no fault '99' is active"),
        ({"op": "explode"}, "none of ping, inject, list, clear"),
    ],
)  # fmt: skip
def test_wrong_requests_are_refused(
    faults: Faults, request_: dict[str, object], words: str
) -> None:
    """The answer names what is wrong and what there is, and nothing has begun."""
    with pytest.raises(ControlError) as caught:
        faults.control.ask(**request_)
    assert words in str(caught.value)
    assert faults.control.active() == []


def test_the_command_injects_lists_and_clears(bmc: Running, faults: Faults) -> None:
    """`dcpi-bmc fault` does what the socket does, which is its user's alone."""

    def command(*words: str) -> str:
        result = CliRunner().invoke(fault_command, ["--state-dir", str(bmc.state_dir), *words])
        assert result.exit_code == 0, result.output
        return result.output

    assert (bmc.state_dir / "control.sock").stat().st_mode & 0o777 == 0o600
    fault_id = command("inject", "delay", "delay_s=0.1", "path=/nowhere*", "--for", "60").strip()
    command("inject", "noise", "device=loop_b_flow", "amount=5%")
    shown = json.loads(command("list", "--json"))
    assert [entry["fault"] for entry in shown] == [
        {"fault": "delay", "delay_s": 0.1, "path": "/nowhere*"},
        {"fault": "noise", "device": "loop_b_flow", "amount": "5%"},
    ]
    assert "/nowhere*" in command("list")
    command("clear", fault_id)
    assert len(faults.control.active()) == 1
    command("clear", "--all")
    assert faults.control.active() == []
    assert "expired-sessions" in command("kinds")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("inject dead device=cooling_meter device=battery_meter", 2, "given twice: device"),
        ("inject dead =cooling_meter", 2, "'=cooling_meter' is not NAME=VALUE"),
        ("inject drop --for 0", 2, "0.0 is not in the range"),
        ("inject drop --for nan", 2, "nan is not a finite number"),
        ("inject expired-sessions --for 5", 1, "expired-sessions is over at once"),
        ("inject noise device=loop_b_flow amount=-3%", 2, "amount: neither a number from 0 on"),
        ("inject slow device=loop_b_flow delay_s=yes", 2, "a number is wanted, not 'yes'"),
    ],
)
def test_the_command_refuses_what_is_wrong(
    bmc: Running, faults: Faults, words: str, status: int, says: str
) -> None:
    """One line says what, with status 2 where no emulator has to be asked; nothing begins."""
    result = CliRunner().invoke(fault_command, ["--state-dir", str(bmc.state_dir), *words.split()])
    assert result.exit_code == status
    assert says in result.output
    assert faults.control.active() == []


def test_the_command_takes_numbers_as_people_write_them(bmc: Running, faults: Faults) -> None:
    """An exponent needs neither point nor sign, as in YAML it would."""
    words = ["--state-dir", str(bmc.state_dir), "inject", "load-step", "power_w=2e3"]
    assert CliRunner().invoke(fault_command, words).exit_code == 0
    assert [entry["fault"] for entry in faults.control.active()] == [
        {"fault": "load-step", "power_w": 2000.0}
    ]


def test_a_scenario_plays_on_a_running_emulator(tmp_path: Path) -> None:
    """Its fault begins and ends at its time and is printed then."""
    path = tmp_path / "short.yaml"
    path.write_text("events: [{at_s: 2, until_s: 4, fault: dead, device: cooling_meter}]")
    with emulator(tmp_path / "state", "--scenario", path) as bmc:

        def quality() -> object:
            answer = bmc.ask("GET", f"{SENSORS}/Feed_cooling_Power")
            return answer.body["Oem"]["DCPI"]["Quality"] if answer.status == 200 else None

        wait_for(lambda: quality() == "comm-error", LATE_S, "the meter is dead")
        wait_for(lambda: quality() == "ok", LATE_S, "the meter is back")
        bmc.stop()
    told = [line.strip() for line in bmc.output.splitlines() if "fault" in line]
    assert told == [
        "fault 1 begins: dead device=cooling_meter",
        "the scenario's last fault has begun",
        "fault 1 ends: dead device=cooling_meter",
    ]
