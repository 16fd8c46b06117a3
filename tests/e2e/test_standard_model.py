"""DMTF's own resources show the facility as it is, and their set points act on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from e2e.conftest import settle
from e2e.emulator_client import Answer, Running, emulator, wait_for
from e2e.moving_truth import moving_truth
from e2e.test_endpoints import announcement

from bmc_ext.clock import iso8601
from emulator.plant.client import PlantControl

ROOT = "/redfish/v1"
CDU = f"{ROOT}/ThermalEquipment/CDUs/liquid_cooling_loop_a"
SECONDARY = f"{CDU}/SecondaryCoolantConnectors/1"
LOOP = "liquid_cooling_loop_a"
CONTROLS = f"{ROOT}/Chassis/DCPI/Controls"
SPEED, FLOW = f"{CONTROLS}/Loop_{LOOP}_PumpSpeed", f"{CONTROLS}/Loop_{LOOP}_Flow"


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A mock BMC of its own: other tests' workloads heat the loops whose pumps are set here."""
    with emulator(tmp_path_factory.mktemp("model") / "state") as it:
        settle(it)
        yield it


@pytest.fixture(scope="module")
def plant(bmc: Running) -> Iterator[PlantControl]:
    """The truth behind the running BMC."""
    with PlantControl(bmc.state_dir / "plant" / "control.sock") as control:
        yield control


@pytest.fixture
def speed(bmc: Running) -> Iterator[None]:
    """The pump of the loop runs as before when the test is over."""
    yield
    assert bmc.ask("PATCH", SPEED, {"SetPoint": 60}).status == 200


def _in_one_window(bmc: Running, uri: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """power/realtime and another resource, read while one window was the newest."""
    # On one connection: three handshakes may take longer than a window.
    origin, login = f"https://127.0.0.1:{bmc.port}", (bmc.user, bmc.password)
    with httpx.Client(base_url=origin, auth=login, verify=False) as client:
        for _ in range(200):
            paths = (f"{ROOT}/dcpi/power/realtime", uri, f"{ROOT}/dcpi/power/realtime")
            before, other, after = (client.get(path).raise_for_status().json() for path in paths)
            if before["WindowId"] == after["WindowId"]:
                return before, other
    raise AssertionError("never saw both in one window")


@pytest.mark.parametrize("feed_id", ["hall_1", "battery"])
def test_a_circuit_shows_what_power_realtime_shows(bmc: Running, feed_id: str) -> None:
    """Of one window they are equal, phase by phase, and every excerpt names its sensor."""
    uri = f"{ROOT}/PowerEquipment/Switchgear/{feed_id}/Mains/1"
    realtime, circuit = _in_one_window(bmc, uri)
    feed = next(entry for entry in realtime["Feeds"] if entry["FeedId"] == feed_id)
    assert circuit["PowerWatts"]["Reading"] == feed["PowerWatts"]
    assert circuit["PowerWatts"]["PowerFactor"] == feed["PowerFactor"]
    assert circuit["EnergykWh"]["Reading"] == feed["EnergyImportkWh"]
    assert circuit["FrequencyHz"]["Reading"] == feed["FrequencyHz"]
    for number, phase in enumerate(feed["Phases"], 1):
        line = f"Line{number}"
        voltage = circuit["PolyPhaseVoltage"][f"{line}ToNeutral"]
        assert voltage["Reading"] == phase["VoltageVolts"]
        assert voltage.get("THDPercent") == phase["VoltageTHDPercent"]
        assert circuit["PolyPhaseCurrentAmps"][line]["Reading"] == phase["CurrentAmps"]
        power = circuit["PolyPhasePowerWatts"][f"{line}ToNeutral"]
        assert power["Reading"] == phase["PowerWatts"]
        assert bmc.get(power["DataSourceUri"])["ElectricalContext"] == f"{line}ToNeutral"
    currents = [phase["CurrentAmps"] for phase in feed["Phases"]]
    mean = sum(currents) / 3
    unbalance = max(abs(current - mean) for current in currents) / mean * 100
    assert circuit["UnbalancedCurrentPercent"]["Reading"] == pytest.approx(unbalance)


def test_the_facility_is_the_sum_of_its_feeds(bmc: Running) -> None:
    """EnvironmentMetrics, Circuit loads and the limit of the grid contract agree."""
    realtime, metrics = _in_one_window(bmc, f"{ROOT}/Chassis/DCPI/EnvironmentMetrics")
    assert metrics["PowerWatts"]["Reading"] == realtime["Total"]["PowerWatts"]
    assert metrics["EnergykWh"]["Reading"] == realtime["Total"]["EnergyImportkWh"]
    limit = bmc.get(metrics["PowerLimitWatts"]["DataSourceUri"])
    grid = bmc.get(f"{ROOT}/dcpi/grid/status")
    assert limit["SetPoint"] == grid["OperatorLimitWatts"] == grid["ImportLimitWatts"] == 250e6


def _announced(bmc: Running) -> str:
    """What becomes of one more workload that needs 40 MW in an hour."""
    message = announcement(f"limited-{time.monotonic_ns()}", 40, in_s=3600)
    status: str = bmc.ask("POST", f"{ROOT}/dcpi/workload/announce", message).body["approval_status"]
    return status


def _approved(bmc: Running) -> None:
    """One is approved, at the latest when all that a slow machine missed is measured again."""
    wait_for(lambda: _announced(bmc) == "approved", 60, "an approved announcement")


def _set(bmc: Running, uri: str, body: dict[str, Any]) -> Any:
    """The answer to a change, which is refused while not all of the import is measured."""
    return wait_for(lambda: (a := bmc.ask("PATCH", uri, body)).status == 200 and a, 60, uri).body


def _order(bmc: Running, limit_mw: float) -> None:
    """The grid's own limit, until a newer one."""
    order = {
        "dcpi_version": "1.0",
        "message_type": "grid_signal",
        "timestamp": iso8601(time.time()),
        "signal_id": f"limit-{time.monotonic_ns()}",
        "import_limit_mw": limit_mw,
    }
    assert bmc.ask("POST", "/dcpi/grid/signal", order).status == 200


def test_the_power_limit_decides_announcements(bmc: Running) -> None:
    """Set at either place it is shown at both, and announcements and the grid's orders follow."""
    metrics, control = f"{ROOT}/Chassis/DCPI/EnvironmentMetrics", f"{CONTROLS}/Facility_PowerLimit"
    status = f"{ROOT}/dcpi/grid/status"
    _approved(bmc)
    import_w = wait_for(lambda: bmc.get(status)["ImportPowerWatts"], 60, "the import")
    low_w = import_w + 45e6  # room for the one that is approved, and not for another
    try:
        changed = _set(bmc, metrics, {"PowerLimitWatts": {"SetPoint": low_w}})
        assert changed["PowerLimitWatts"]["SetPoint"] == low_w
        assert bmc.get(control)["SetPoint"] == low_w
        assert bmc.get(status)["ImportLimitWatts"] == low_w
        assert _announced(bmc) != "approved"
        assert _set(bmc, control, {"SetPoint": 240e6})["SetPoint"] == 240e6
        _approved(bmc)
        _order(bmc, 230)
        assert bmc.get(control)["SetPoint"] == 240e6
        assert bmc.get(status)["ImportLimitWatts"] == 230e6
        for uri, wrong, at in (
            (metrics, {"PowerLimitWatts": {"SetPoint": 260e6}}, "PowerLimitWatts/SetPoint"),
            (metrics, {"PowerLimitWatts": {"SetPoint": "much"}}, "PowerLimitWatts/SetPoint"),
            (metrics, {"PowerLimitWatts": {"SetPoint": 1, "Trip": 2}}, "PowerLimitWatts/Trip"),
            (metrics, {"PowerLimitWatts": 1}, "PowerLimitWatts"),
            (metrics, {"PowerWatts": 1}, "PowerWatts"),
            (control, {"ControlMode": "Disabled"}, "ControlMode"),
        ):
            _refused(bmc.ask("PATCH", uri, wrong), 400, at)
        _refused(bmc.ask("PATCH", control, {"SetPoint": 1e6}), 409, "SetPoint")
        assert bmc.get(control)["SetPoint"] == 240e6
    finally:
        _order(bmc, 250)
        _set(bmc, control, {"SetPoint": 250e6})


def test_old_clients_set_the_power_limit(bmc: Running) -> None:
    """By Power as by its successors: null withdraws the limit, and each wrong value is named."""
    power, control = f"{ROOT}/Chassis/DCPI/Power", f"{CONTROLS}/Facility_PowerLimit"
    limit = "PowerControl/0/PowerLimit"
    before_w = bmc.get(control)["SetPoint"]
    try:
        changed = _set(bmc, power, {"PowerControl": [{"PowerLimit": {"LimitInWatts": 240e6}}]})
        assert changed["PowerControl"][0]["PowerLimit"]["LimitInWatts"] == 240e6
        assert bmc.get(control)["SetPoint"] == 240e6
        _set(bmc, power, {"PowerControl": [{}]})
        assert bmc.get(control)["SetPoint"] == 240e6
        assert bmc.ask("PATCH", power, {}).status == 400
        for wrong, at in (
            ({"PowerControl": {}}, "PowerControl"),
            ({"PowerControl": [{}, {}]}, "PowerControl"),
            ({"Voltages": []}, "Voltages"),
            ({"PowerControl": [{"Name": "x"}]}, "PowerControl/0/Name"),
            ({"PowerControl": [{"PowerLimit": 1}]}, limit),
            ({"PowerControl": [{"PowerLimit": {}}]}, f"{limit}/LimitInWatts"),
            ({"PowerControl": [{"PowerLimit": {"LimitInWatts": "1"}}]}, f"{limit}/LimitInWatts"),
            ({"PowerControl": [{"PowerLimit": {"LimitInWatts": -1}}]}, f"{limit}/LimitInWatts"),
            ({"PowerControl": [{"PowerLimit": {"CorrectionInMs": 1}}]}, f"{limit}/CorrectionInMs"),
        ):
            _refused(bmc.ask("PATCH", power, wrong), 400, at)
        low = {"PowerControl": [{"PowerLimit": {"LimitInWatts": 1e6}}]}
        _refused(bmc.ask("PATCH", power, low), 409, f"{limit}/LimitInWatts")
        _set(bmc, power, {"PowerControl": [{"PowerLimit": {"LimitInWatts": None}}]})
        assert bmc.get(control)["SetPoint"] == before_w
    finally:
        _set(bmc, control, {"SetPoint": before_w})


def _refused(answer: Answer, status: int, name: str) -> None:
    """An error of that status about that property."""
    assert answer.status == status, answer
    info = answer.body["error"]["@Message.ExtendedInfo"][0]
    assert info["RelatedProperties"] == [f"#/{name}"]


def test_a_cooling_unit_agrees_with_the_plant(bmc: Running, plant: PlantControl) -> None:
    """Flow, temperatures, pressure and heat are those of the loop, within its sensors' classes."""
    with moving_truth(plant) as truth:
        shown = bmc.get(SECONDARY)
        for name, of_loop, error in (
            ("FlowLitersPerMinute", lambda loop: loop["flow_lpm"], 80.0),
            ("SupplyTemperatureCelsius", lambda loop: loop["supply_c"], 0.5),
            ("ReturnTemperatureCelsius", lambda loop: loop["return_c"], 0.6),
            ("SupplyPressurekPa", lambda loop: loop["pressure_bar"] * 100, 2.0),
            ("HeatRemovedkW", lambda loop: loop["heat_w"] / 1000, 200.0),
            ("DeltaTemperatureCelsius", lambda loop: loop["return_c"] - loop["supply_c"], 0.6),
        ):
            pick = partial(_of_loop, of_loop)
            truth.check(shown[name]["Reading"], pick, off=error)
    rise = shown["DeltaTemperatureCelsius"]["Reading"]
    coolant = shown["Coolant"]
    volume_flow = shown["FlowLitersPerMinute"]["Reading"] / 60_000
    heat = volume_flow * coolant["DensityKgPerCubicMeter"] * coolant["SpecificHeatkJoulesPerKgK"]
    assert heat * rise == pytest.approx(shown["HeatRemovedkW"]["Reading"], rel=0.01)


def _of_loop(quantity: Callable[[dict[str, float]], float], truth: dict[str, Any]) -> float:
    return quantity(truth["loops"][LOOP])


def test_what_nothing_measures_is_null(bmc: Running) -> None:
    """The facility's water has a thermometer in its supply, and nothing else."""
    primary = bmc.get(f"{CDU}/PrimaryCoolantConnectors/1")
    assert primary["SupplyTemperatureCelsius"]["Reading"] == pytest.approx(22, abs=2)
    for name in ("Flow", "Return", "Delta", "Heat"):
        unknown = [value for key, value in primary.items() if key.startswith(name)]
        assert unknown
        assert all(value == {"Reading": None} for value in unknown)


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize(
    ("uri", "body"),
    [
        (SPEED, {"SetPoint": 70}),
        (FLOW, {"SetPoint": 3500}),
        (f"{CDU}/Pumps/1", {"SpeedControlPercent": {"SetPoint": 70}}),
        (SECONDARY, {"FlowControlLitersPerMinute": {"SetPoint": 3500}}),
    ],
)
def test_a_set_point_turns_the_pump(
    bmc: Running, plant: PlantControl, uri: str, body: dict[str, Any]
) -> None:
    """Wherever it is set, the drive holds it, the pump follows, and all places show it."""
    answer = bmc.ask("PATCH", uri, body)
    assert answer.status == 200, answer.body
    assert bmc.get(SPEED)["SetPoint"] == pytest.approx(70, abs=0.01)
    assert bmc.get(FLOW)["SetPoint"] == pytest.approx(3500, abs=0.5)
    pump = bmc.get(f"{CDU}/Pumps/1")
    assert pump["SpeedControlPercent"]["SetPoint"] == pytest.approx(70, abs=0.01)
    wait_for(
        lambda: abs(plant.truth()["loops"][LOOP]["pump_speed_percent"] - 70) < 0.5,
        10,
        "the pump at 70 %",
    )
    wait_for(lambda: abs(bmc.get(SPEED)["Sensor"]["Reading"] - 70) < 0.5, 10, "the sensor at 70 %")


@pytest.mark.usefixtures("speed")
def test_a_control_read_five_seconds_ago_can_be_set(bmc: Running) -> None:
    """Its tag covers the set point and not the live readings; after the change it is old."""
    tag = bmc.ask("GET", SPEED).headers["etag"]
    before = bmc.get(SPEED)["Sensor"]["Reading"]
    time.sleep(5)
    wait_for(lambda: bmc.get(FLOW)["Sensor"]["Reading"] != before, 5, "another reading")
    assert bmc.ask("PATCH", SPEED, {"SetPoint": 65}, headers={"If-Match": tag}).status == 200
    refused = bmc.ask("PATCH", SPEED, {"SetPoint": 66}, headers={"If-Match": tag})
    assert refused.status == 412
    assert bmc.get(SPEED)["SetPoint"] == pytest.approx(65, abs=0.01)


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"SetPoint": 101}, 400, "#/SetPoint"),
        ({"SetPoint": -1}, 400, "#/SetPoint"),
        ({"SetPoint": True}, 400, "#/SetPoint"),
        ({"SetPoint": "60"}, 400, "#/SetPoint"),
        ({"ControlMode": "Automatic"}, 400, "#/ControlMode"),
        ({"SetPoint": 2}, 409, "#/SetPoint"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_moves(
    bmc: Running, body: dict[str, Any], status: int, named: str
) -> None:
    """Out of range, of another type, read-only, or too slow for the heat: the property is named."""
    before = bmc.get(SPEED)["SetPoint"]
    answer = bmc.ask("PATCH", SPEED, body)
    assert answer.status == status
    assert named in answer.body["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"]
    assert bmc.get(SPEED)["SetPoint"] == before


def test_a_set_point_below_the_loops_heat_says_which_would_do(bmc: Running) -> None:
    """The interlock's refusal names the least speed that the heat needs."""
    answer = bmc.ask("PATCH", SPEED, {"SetPoint": 5})
    assert answer.status == 409
    assert "needs at least" in answer.body["error"]["message"]


def test_a_drive_that_does_not_obey_is_no_success(bmc: Running, plant: PlantControl) -> None:
    """A write that the device acknowledges and does not do is an error with what it holds."""
    plant.device_ignore_writes("loop_a_pump", True)
    try:
        answer = bmc.ask("PATCH", SPEED, {"SetPoint": 80})
    finally:
        plant.device_ignore_writes("loop_a_pump", False)
    assert answer.status == 409
    assert "the device holds" in answer.body["error"]["message"]


def test_only_who_may_control_the_cooling_sets_it(bmc: Running) -> None:
    """A reader sees the controls and cannot set them."""
    account = {"UserName": "watcher", "Password": "watch-me-4711", "RoleId": "ReadOnly"}
    made = bmc.ask("POST", f"{ROOT}/AccountService/Accounts", account)
    assert made.status == 201
    session = {"UserName": "watcher", "Password": "watch-me-4711"}
    opened = bmc.ask("POST", f"{ROOT}/SessionService/Sessions", session, auth=False)
    token = {"X-Auth-Token": opened.headers["x-auth-token"]}
    try:
        assert bmc.ask("GET", SPEED, headers=token).status == 200
        assert bmc.ask("PATCH", SPEED, {"SetPoint": 61}, headers=token).status == 403
    finally:
        bmc.ask("DELETE", made.headers["location"])


def test_a_leak_is_critical_until_it_dries(bmc: Running, plant: PlantControl) -> None:
    """The cable under one unit gets wet: that unit says so, its neighbour does not."""
    detection = f"{CDU}/LeakDetection"
    detector = f"{detection}/LeakDetectors/cable"
    assert bmc.get(detector)["DetectorState"] == "OK"
    plant.leak(LOOP, True)
    try:
        wait_for(lambda: bmc.get(detector)["DetectorState"] == "Critical", 10, "the leak")
        found = bmc.get(detection)
        assert found["Status"] == {"State": "Enabled", "Health": "Critical"}
        group = found["LeakDetectorGroups"][0]
        assert group["Detectors"][0]["DetectorState"] == "Critical"
        assert group["HumidityPercent"]["Reading"] == pytest.approx(80, abs=0.1)
        neighbour = detection.replace("loop_a", "loop_b")
        assert bmc.get(neighbour)["Status"]["Health"] == "OK"
    finally:
        plant.leak(LOOP, False)
    wait_for(lambda: bmc.get(detector)["DetectorState"] == "OK", 10, "it is dry again")


def test_a_detector_that_is_silent_is_unavailable(bmc: Running, plant: PlantControl) -> None:
    """A dead detector is never dry."""
    detector = f"{ROOT}/Chassis/DCPI/LeakDetectors/liquid_cooling_loop_b_cable"
    plant.device_stop("loop_b_leak")
    try:
        wait_for(lambda: bmc.get(detector)["DetectorState"] == "Unavailable", 15, "it is missed")
        assert bmc.get(detector)["Status"]["Health"] == "Critical"
    finally:
        plant.device_start("loop_b_leak")
    wait_for(lambda: bmc.get(detector)["DetectorState"] == "OK", 15, "it is back")


def test_a_battery_charges_when_its_feed_imports(bmc: Running, plant: PlantControl) -> None:
    """Its state follows from the power at its feed, its capacity from its nameplate."""
    battery = bmc.get(f"{ROOT}/Chassis/DCPI/PowerSubsystem/Batteries/battery")
    assert battery["CapacityRatedWattHours"] == pytest.approx(30e6)
    assert battery["ChargeState"] in ("Idle", "Charging", "Discharging")
    power_w = plant.truth()["battery"]["power_w"]
    if abs(power_w) < 0.2e6:
        assert battery["ChargeState"] == "Idle"
    metrics = bmc.get(battery["Metrics"]["@odata.id"])
    assert "ChargePercent" not in metrics  # no point tells it


def test_a_sensor_has_its_nameplates_limits(bmc: Running) -> None:
    """The loop's hottest return and the feed's rating stand at their sensors."""
    sensors = f"{ROOT}/Chassis/DCPI/Sensors"
    hot = bmc.get(f"{sensors}/Loop_{LOOP}_ReturnTemperature")["Thresholds"]
    assert hot == {"UpperCritical": {"Reading": 65}}
    power = bmc.get(f"{sensors}/Feed_hall_1_Power")
    assert power["Thresholds"] == {"UpperCritical": {"Reading": 62.5e6}}
    assert power["PeakReading"] >= power["Reading"]
    voltage = bmc.get(f"{sensors}/Feed_hall_1_L1_Voltage")["Thresholds"]
    assert voltage["LowerCaution"]["Reading"] == pytest.approx(0.9 * 33e3 / 3**0.5)


def test_every_link_of_the_model_leads_somewhere(bmc: Running) -> None:
    """From the root down, each resource that is linked answers."""
    seen: set[str] = set()
    todo = [f"{ROOT}/ThermalEquipment", f"{ROOT}/PowerEquipment", f"{ROOT}/Chassis/DCPI"]
    while todo:
        uri = todo.pop()
        if uri in seen or "/Sensors/" in uri:
            continue
        seen.add(uri)
        todo += _links(bmc.get(uri))
    assert len(seen) > 24 * 8


def _links(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("@odata.id", "DataSourceUri"):
                yield inner.partition("#")[0]
            else:
                yield from _links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _links(inner)


def test_a_dead_meters_circuit_is_null_with_its_state(bmc: Running, plant: PlantControl) -> None:
    """Yesterday's power is never shown: null and offline, at the circuit and at its sensor."""
    circuit = f"{ROOT}/PowerEquipment/Switchgear/battery/Mains/1"
    plant.device_stop("battery_meter")
    try:
        wait_for(lambda: bmc.get(circuit)["PowerWatts"]["Reading"] is None, 15, "it is missed")
        found = bmc.get(circuit)
        assert found["Status"]["State"] == "UnavailableOffline"
        assert found["Status"]["Health"] != "OK"
        assert found["PolyPhaseVoltage"]["Line1ToNeutral"]["Reading"] is None
        sensor = bmc.get(found["PowerWatts"]["DataSourceUri"])
        assert (sensor["Reading"], sensor["Status"]["State"]) == (None, "UnavailableOffline")
        assert bmc.get(f"{ROOT}/Chassis/DCPI")["PowerState"] is None
    finally:
        plant.device_start("battery_meter")
    wait_for(lambda: bmc.get(circuit)["PowerWatts"]["Reading"] is not None, 15, "it is back")


def test_a_dead_drive_has_no_set_point_and_takes_none(bmc: Running, plant: PlantControl) -> None:
    """What the drive holds is unknown, and a write that does not reach it is no success."""
    uri = f"{CONTROLS}/Loop_liquid_cooling_loop_b_PumpSpeed"
    plant.device_stop("loop_b_pump")
    try:
        wait_for(lambda: bmc.get(uri)["SetPoint"] is None, 15, "the drive is missed")
        assert bmc.get(uri)["Status"]["State"] == "UnavailableOffline"
        assert bmc.ask("PATCH", uri, {"SetPoint": 70}).status == 503
    finally:
        plant.device_start("loop_b_pump")
    wait_for(lambda: bmc.get(uri)["SetPoint"] == pytest.approx(60, abs=0.01), 15, "it is back")
