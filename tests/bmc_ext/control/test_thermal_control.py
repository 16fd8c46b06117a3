"""thermal_control over real Modbus TCP: a drive is written, a flow meter sees the effect."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bmc_ext.clock import SystemClock
from bmc_ext.config import DeviceSpec
from bmc_ext.equipment import PointRef
from bmc_ext.errors import MessageError, NotFoundError
from bmc_ext.settings import LoopConfig
from drivers.engine import Engine
from drivers.profile import load_profile
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedDevice
from schemas import validator

LOOP = LoopConfig(
    "liquid_cooling_loop_a",
    rated_flow_lpm=5000,
    flow=PointRef("meter", "flow.volume"),
    pump_speed=PointRef("drive", "speed.actual"),
    pump_setpoint=PointRef("drive", "speed.reference"),
)


class Rig:
    """A pump drive and a flow meter behind one Modbus TCP port, polled by a real engine."""

    def __init__(self) -> None:
        self.drive = SimulatedDevice(load_profile("danfoss.fc102"))
        self.meter = SimulatedDevice(load_profile("oem.tuf2000m"))
        self.second_meter = SimulatedDevice(load_profile("oem.tuf2000m"))
        self.drive.set("speed.reference", 60.0)
        self.run_at(60.0)
        self.drive.on_write = lambda _point, value: self.run_at(value)
        self.server = ModbusTcpServer({1: self.drive, 2: self.meter, 3: self.second_meter})
        self.server.start()
        target = f"tcp://127.0.0.1:{self.server.port}"
        self.engine = Engine(
            [
                DeviceSpec("drive", "danfoss.fc102", target, 1),
                DeviceSpec("meter", "oem.tuf2000m", target, 2),
                DeviceSpec("meter-2", "oem.tuf2000m", target, 3),
            ]
        )
        self.engine.start()

    def run_at(self, speed_percent: float) -> None:
        """The pump turns at that speed and moves a little less than the nameplate's flow."""
        self.drive.set("speed.actual", speed_percent)
        for meter in (self.meter, self.second_meter):
            meter.set("flow.volume", speed_percent / 100 * 5000 * 0.97)

    def wait_until_read(self) -> None:
        """Until both devices were read once."""
        deadline_s = time.monotonic() + 5
        points = (("drive", "speed.reference"), ("meter", "flow.volume"))
        while any(self.engine.reading(*point).quality is not Quality.OK for point in points):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    def close(self) -> None:
        """Stop polling and serving."""
        self.engine.stop()
        self.server.stop()


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Drive and meter, already read."""
    made = Rig()
    made.wait_until_read()
    yield made
    made.close()


@pytest.fixture
def cooled(bench: Any, rig: Rig) -> Any:
    """The campus with one loop over that rig, on the real clock."""
    bench.stop()
    bench.clock = SystemClock()
    bench.devices = rig.engine
    bench.start(loops=(LOOP,))
    return bench


def message(*commands: dict[str, Any]) -> dict[str, Any]:
    """A thermal_control of these commands."""
    return {
        "dcpi_version": "1.0",
        "message_type": "thermal_control",
        "timestamp": "2026-03-04T10:15:30Z",
        "cooling_commands": list(commands),
    }


def control(bench: Any, *commands: dict[str, Any]) -> dict[str, Any]:
    """Send it and return the body, which validates."""
    outcome = bench.commands.thermal_control(message(*commands), bench.user, "c-1")
    assert (outcome.status, outcome.location_id) == (200, None)
    body: dict[str, Any] = outcome.body
    validator("messages/thermal_control_response").validate(body)
    return body


def flow(value: float) -> dict[str, Any]:
    """A command for the loop's flow."""
    return {"system_id": "liquid_cooling_loop_a", "target_flow_rate_lpm": value}


def test_accepted_and_effective_are_told_apart(cooled: Any, rig: Rig) -> None:
    """The drive holds what was asked for; the flow meter says what came of it."""
    body = control(cooled, flow(2500))
    assert rig.drive.get("speed.reference") == pytest.approx(50.0, abs=0.01)
    assert body["control_mode"] == "act"
    [outcome] = body["outcomes"]
    assert outcome["status"] == "accepted"
    [setting] = outcome["settings"]
    assert setting["accepted"] == pytest.approx(2500, abs=0.5)
    assert setting["effective"] == pytest.approx(2425, abs=1)
    assert (setting["unit"], setting["reason"]) == ("L/min", None)


def test_draft_example_acts_on_what_is_there(cooled: Any, rig: Rig) -> None:
    """Flow and its bound are set; what nothing can set is reported, not pretended."""
    body = control(
        cooled,
        {
            **flow(2500),
            "inlet_temp_target_c": 12,
            "pump_speed_percent": 85,
            "phase_change_fluid": "FC-87",
        },
        {"system_id": "heat_recovery_system", "municipal_interface": True, "heat_output_mw": 120},
    )
    first, second = body["outcomes"]
    assert first["status"] == "partial"
    statuses = {setting["setting"]: setting["status"] for setting in first["settings"]}
    assert statuses == {
        "target_flow_rate_lpm": "accepted",
        "pump_speed_percent": "accepted",
        "inlet_temp_target_c": "not_supported",
        "phase_change_fluid": "not_supported",
    }
    assert second["status"] == "unknown_system"
    assert rig.drive.get("speed.reference") == pytest.approx(50.0, abs=0.01)


def test_ignored_write_is_not_set(cooled: Any, rig: Rig) -> None:
    """A drive that acknowledges and does nothing is not set; what it really holds is told."""
    rig.drive.ignores_writes = True
    [outcome] = control(cooled, flow(2500))["outcomes"]
    assert outcome["status"] == "not_set"
    [setting] = outcome["settings"]
    assert setting["accepted"] == pytest.approx(3000, abs=0.5)
    assert setting["effective"] == pytest.approx(2910, abs=1)
    assert setting["reason"]


def test_silent_drive_is_a_communication_error(cooled: Any, rig: Rig) -> None:
    """A drive that does not answer is reported in time, and nothing is known of what it holds."""
    rig.server.stop()
    begun_s = time.monotonic()
    [outcome] = control(cooled, flow(2500))["outcomes"]
    assert time.monotonic() - begun_s < 2.5
    [setting] = outcome["settings"]
    assert (setting["status"], setting["accepted"], setting["effective"]) == (
        "comm_error",
        None,
        None,
    )
    assert setting["reason"]


def test_drive_without_a_meter_is_set_but_its_effect_unknown(cooled: Any, rig: Rig) -> None:
    """With the flow meter silent the write stands, and the effect is null with a reason."""
    rig.meter.silent = True
    [outcome] = control(cooled, flow(2500))["outcomes"]
    [setting] = outcome["settings"]
    assert (setting["status"], setting["effective"]) == ("accepted", None)
    assert setting["reason"] == "no measurement has come since the write"


def test_a_second_meter_sees_the_effect_when_the_first_is_silent(bench: Any, rig: Rig) -> None:
    """Of redundant flow sensors any one that measures after the write is enough."""
    sensors = (PointRef("meter", "flow.volume"), PointRef("meter-2", "flow.volume"))
    bench.stop()
    bench.clock = SystemClock()
    bench.devices = rig.engine
    bench.start(loops=(replace(LOOP, redundant={"flow": sensors}),))
    rig.meter.silent = True
    deadline_s = time.monotonic() + 5
    while rig.engine.reading("meter", "flow.volume").quality is Quality.OK:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    [outcome] = control(bench, flow(4000))["outcomes"]
    [setting] = outcome["settings"]
    assert (setting["status"], setting["effective"]) == ("accepted", pytest.approx(3880, rel=1e-4))


def test_flow_above_the_nameplate_is_refused(cooled: Any, rig: Rig) -> None:
    """More than the rated flow is refused with a reason and nothing is written."""
    [outcome] = control(cooled, flow(6000))["outcomes"]
    assert outcome["status"] == "refused"
    assert "outside 0 to 5000 L/min" in outcome["settings"][0]["reason"]
    assert rig.drive.get("speed.reference") == pytest.approx(60.0, abs=0.01)


@pytest.mark.parametrize("lpm", [0, 1000])
def test_pump_is_not_throttled_below_the_measured_heat(cooled: Any, rig: Rig, lpm: int) -> None:
    """A flow that cannot carry the heat of the newest snapshot is refused and not written."""
    cooled.measured.clock.now_s = time.time()
    cooled.measured.loop_ids = (LOOP.id,)
    [outcome] = control(cooled, flow(lpm))["outcomes"]
    assert outcome["status"] == "refused"
    assert "heat of 3.333 MW needs at least" in outcome["settings"][0]["reason"]
    assert rig.drive.get("speed.reference") == pytest.approx(60.0, abs=0.01)


def test_command_without_a_setting_is_refused(cooled: Any) -> None:
    """A command that names a system and no known setting is an error that names it."""
    for command in ({"system_id": LOOP.id}, {"system_id": LOOP.id, "colour": "red"}):
        with pytest.raises(MessageError, match="names nothing to set") as caught:
            control(cooled, command)
        assert caught.value.property_path == "/cooling_commands/0"
    assert cooled.audit_entries() == []


def test_contradiction_is_found_before_anything_acts(cooled: Any, rig: Rig) -> None:
    """A second command that contradicts the first leaves the pump as it was, and no audit entry."""
    with pytest.raises(MessageError) as caught:
        control(cooled, flow(2500), {"system_id": LOOP.id, "pump_speed_percent": 20})
    assert caught.value.property_path == "/cooling_commands/1/pump_speed_percent"
    with pytest.raises(NotFoundError):
        control(cooled, {"system_id": "nowhere", "target_flow_rate_lpm": 1})
    assert rig.drive.get("speed.reference") == pytest.approx(60.0, abs=0.01)
    assert cooled.audit_entries() == []


def test_observe_mode_writes_nothing(cooled: Any, rig: Rig) -> None:
    """In observe mode the plan is answered with what is measured, and the drive is left alone."""
    cooled.stop()
    cooled.start(control="observe")
    body = control(cooled, flow(2500))
    assert body["control_mode"] == "observe"
    [outcome] = body["outcomes"]
    assert outcome["status"] == "observed"
    [setting] = outcome["settings"]
    assert (setting["accepted"], setting["effective"]) == (None, pytest.approx(2910, abs=1))
    assert setting["reason"] == "control mode is observe: nothing was written"
    assert rig.drive.get("speed.reference") == pytest.approx(60.0, abs=0.01)


def test_profile_bounds_are_the_last_word(cooled: Any, rig: Rig) -> None:
    """A set point that the profile does not let through is refused with the driver's reason."""
    cooled.stop()
    cooled.start(loops=(replace(LOOP, pump_setpoint=PointRef("drive", "speed.actual")),))
    [outcome] = control(cooled, flow(2500))["outcomes"]
    assert outcome["status"] == "refused"
    assert outcome["settings"][0]["reason"]


def test_audit_tells_plan_and_outcome(cooled: Any) -> None:
    """Before the write the audit log has the plan, after it what became of it."""
    control(cooled, flow(2500))
    planned, done = cooled.audit_entries()
    assert planned["fields"]["systems"] == [
        {"system_id": LOOP.id, "known": True, "speed_percent": 50.0}
    ]
    assert done["fields"]["outcomes"][0]["status"] == "accepted"
