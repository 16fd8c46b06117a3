"""The standard model over devices on real sockets: what a configuration declares and hides."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import Answer
from served_front import Served, served, wait_for

from bmc_ext.config import parse_config
from bmc_ext.errors import ConfigurationError
from bmc_ext.service import Service
from drivers.profile import load_profile
from drivers.simulation import ModbusTcpServer, SimulatedDevice

ROOT = "/redfish/v1"
UNIT = f"{ROOT}/ThermalEquipment/CDUs/loop-a"
CONTROL = f"{ROOT}/Chassis/DCPI/Controls/Loop_loop-a_PumpSpeed"
SENSORS = f"{ROOT}/Chassis/DCPI/Sensors"
BUS = f"{ROOT}/PowerEquipment/ElectricalBuses/feed"
BATTERIES = f"{ROOT}/Chassis/DCPI/PowerSubsystem/Batteries"


def _is_known(answer: Answer, name: str) -> bool:
    """Whether that property is there with a value; an excerpt's value is its reading."""
    value = answer.body.get(name) if answer.status == 200 else None
    return (value.get("Reading") if isinstance(value, dict) else value) is not None


def _wait_until_known(front: Served, names: Mapping[str, str]) -> None:
    """Wait for these properties, by the URI of their resource."""
    for uri, name in names.items():
        wait_for(lambda u=uri, n=name: _is_known(front.ask("GET", u), n), 15, uri)


class Site:
    """A drive, a pressure transmitter, a thermometer module and a meter, and their service."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.drive = SimulatedDevice(load_profile("danfoss.fc102"))
        self.drive.update({"status_word": 0x0F07, "speed.reference": 60.0, "speed.actual": 60.0})
        self.pressure = SimulatedDevice(load_profile("keller.33x"))
        self.pressure.update(
            {"pressure.P1": 2.5, "temperature.TOB1": 21.0, "range.P1.min": 0, "range.P1.max": 10}
        )
        self.pipes = SimulatedDevice(load_profile("advantech.adam6015"))
        self.pipes.update({f"temperature.ch{n}": 20.0 + n for n in range(7)})
        self.meter = SimulatedDevice(load_profile("eastron.sdm630"))
        self.meter.update(
            {
                **{f"voltage.L{n}": 230.0 for n in (1, 2, 3)},
                "current.L1": 9.0,
                "current.L2": 10.0,
                "current.L3": 11.0,
                "frequency": 50.0,
                "power.active.total": 6900.0,
                "energy.active.import": 3.6e9,
                "pf.total": 1.0,
            }
        )
        self.devices = {
            "drive": self.drive,
            "pressure": self.pressure,
            "pipes": self.pipes,
            "meter": self.meter,
        }

    @contextlib.contextmanager
    def serving(self, **changes: Any) -> Iterator[Served]:
        """The service with these changes of its configuration, once all its devices answer."""
        with contextlib.ExitStack() as stack:
            document = self.document(stack) | changes
            config = parse_config(document, base=self.directory)
            front = stack.enter_context(served(self.directory, config=config))
            # Each point is read in its own time; until the first window is complete the answer
            # is 503.
            points = ("energy.active.import", "power.active.total", "current.L2")
            known = {f"{SENSORS}/Device_meter_{point}": "Reading" for point in points}
            if config.loops:
                known[CONTROL] = "SetPoint"
            _wait_until_known(front, known)
            yield front

    def document(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        """The configuration, with the devices served until the stack closes."""
        entries = []
        for name, device in self.devices.items():
            server = ModbusTcpServer({1: device})
            server.start()
            stack.callback(server.stop)
            target = f"tcp://{server.host}:{server.port}"
            entries.append({"id": name, "profile": device.profile.id, "target": target, "unit": 1})
        return {
            "facility": {"id": "site", "rated_power_w": 20e3, "contract_limit_w": 6000},
            "state_dir": str(self.directory),
            "control": "act",
            "devices": entries,
            "feeds": [_FEED],
            "loops": [_LOOP],
        }


_FEED = {
    "id": "feed",
    "rated_power_w": 10e3,
    "nominal_hz": 50,
    "meter": "meter",
    "equipment": {
        "kind": "ElectricalBuses",
        "nameplate": {"manufacturer": "Maker", "serial_number": "B-1"},
        "nominal_voltage": "AC230V",
        "battery": {"capacity_j": 7.2e9, "charge": "drive/speed.actual"},
    },
}
_LOOP = {
    "id": "loop-a",
    "rated_flow_lpm": 1000,
    "supply": "pipes/temperature.ch0",
    "return": "pipes/temperature.ch1",
    "pressure": "pressure/pressure.P1",
    "pump_speed": "drive/speed.actual",
    "pump_setpoint": "drive/speed.reference",
    "cooling_unit": {
        "nameplate": {"model": "C-1", "production_date": "2025-03-31"},
        "return_pressure": "pressure/pressure.P1",
        "power": "meter/power.active.total",
        "energy": "meter/energy.active.import",
        "primary": {
            "fluid": "pg25",
            "supply": "pipes/temperature.ch2",
            "return": "pipes/temperature.ch5",
        },
        "leak_detectors": [{"id": "under", "wet": "meter/pf.total", "type": "FloatSwitch"}],
        "filters": [{"id": "f1", "rated_service_hours": 4000, "serviced_date": "2026-01-02"}],
        "reservoirs": [{"id": "r1", "capacity_l": 80, "level": "drive/speed.actual"}],
    },
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The devices of all tests."""
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def front(site: Site) -> Iterator[Served]:
    """A service that acts."""
    with site.serving() as it:
        feed = {f"{BUS}/Mains/1": "UnbalancedCurrentPercent", f"{BATTERIES}/feed": "ChargeState"}
        _wait_until_known(it, feed)
        yield it


def _get(front: Served, uri: str) -> Any:
    answer = front.ask("GET", uri)
    assert answer.status == 200, answer.body
    return answer.body


def test_what_is_declared_is_shown_and_nothing_else(front: Served) -> None:
    """Nameplates appear as they are written, and what they do not say has no property."""
    unit = _get(front, UNIT)
    assert unit["Model"] == "C-1"
    assert unit["ProductionDate"] == "2025-03-31T00:00:00Z"
    assert {"Manufacturer", "SerialNumber", "CoolingCapacityWatts"}.isdisjoint(unit)
    bus = _get(front, BUS)
    assert (bus["EquipmentType"], bus["Manufacturer"]) == ("Bus", "Maker")
    assert _get(front, f"{ROOT}/PowerEquipment").keys().isdisjoint({"Switchgear", "FloorPDUs"})
    assert front.ask("GET", f"{ROOT}/PowerEquipment/Switchgear").status == 404
    assert front.ask("GET", f"{ROOT}/PowerEquipment/Switchgear/feed").status == 404


def test_filters_reservoirs_and_batteries_tell_what_is_known(front: Served) -> None:
    """Declared data and measured levels are shown; hours that nobody counts are null."""
    part = _get(front, f"{UNIT}/Filters/f1")
    assert part["RatedServiceHours"] == 4000
    assert part["ServicedDate"] == "2026-01-02T00:00:00Z"
    assert part["ServiceHours"] is None
    reservoir = _get(front, f"{UNIT}/Reservoirs/r1")
    assert reservoir["CapacityLiters"] == 80
    assert reservoir["FluidLevelPercent"]["Reading"] == pytest.approx(60, abs=0.01)
    battery = _get(front, f"{BATTERIES}/feed")
    assert battery["CapacityRatedWattHours"] == 2e6
    assert battery["ChargeState"] == "Charging"
    metrics = _get(front, f"{BATTERIES}/feed/Metrics")
    assert metrics["ChargePercent"]["Reading"] == pytest.approx(60, abs=0.01)
    assert metrics["StoredEnergyWattHours"]["Reading"] == pytest.approx(1.2e6, rel=1e-3)
    for uri in (f"{UNIT}/Filters/f2", f"{UNIT}/Reservoirs/x", f"{BATTERIES}/x", f"{UNIT}x"):
        assert front.ask("GET", uri).status == 404


def test_a_units_own_meter_is_its_environment(front: Served) -> None:
    """Power and energy of the unit are those of its meter's points; nothing else is claimed."""
    found = _get(front, f"{UNIT}/EnvironmentMetrics")
    assert found["PowerWatts"]["Reading"] == pytest.approx(6900, rel=1e-3)
    assert found["EnergykWh"]["LifetimeReading"] == pytest.approx(1000)
    assert "HumidityPercent" not in found
    assert _get(front, UNIT)["EnvironmentMetrics"] == {"@odata.id": f"{UNIT}/EnvironmentMetrics"}


def test_a_facility_without_loops_has_no_thermal_equipment(site: Site) -> None:
    """Neither the tree nor a link to it, nor an empty collection."""
    pdu = {**_FEED, "equipment": {"kind": "RackPDUs"}}
    with _fresh(site).serving(loops=[], feeds=[pdu]) as front:
        assert "ThermalEquipment" not in _get(front, ROOT)
        for part in ("", "/CDUs", "/CoolingLoops"):
            assert front.ask("GET", f"{ROOT}/ThermalEquipment{part}").status == 404
        assert _get(front, f"{ROOT}/PowerEquipment/RackPDUs/feed")["EquipmentType"] == "RackPDU"
        assert front.ask("GET", f"{ROOT}/Chassis/DCPI/PowerSubsystem/Batteries").status == 404


def test_the_primary_side_knows_its_own_coolant(front: Served) -> None:
    """Its coolant is that of its fluid, its rise that of its sensors, and no flow is no heat."""
    primary = _get(front, f"{UNIT}/PrimaryCoolantConnectors/1")
    assert primary["Coolant"]["AdditiveName"] == "propylene glycol"
    assert primary["Coolant"]["DensityKgPerCubicMeter"] == pytest.approx(1018.4, abs=0.5)
    assert primary["DeltaTemperatureCelsius"]["Reading"] == pytest.approx(3, abs=0.01)
    assert primary["HeatRemovedkW"]["Reading"] is None
    secondary = _get(front, f"{UNIT}/SecondaryCoolantConnectors/1")
    assert secondary["ReturnPressurekPa"]["Reading"] == pytest.approx(250, abs=0.1)
    assert secondary["DeltaPressurekPa"]["Reading"] == pytest.approx(0, abs=0.1)


def test_a_meters_energy_is_its_lifetime_and_its_lines_are_named(front: Served) -> None:
    """A counter has one number for both; a phase's point says between which lines it is."""
    energy = _get(front, f"{SENSORS}/Device_meter_energy.active.import")
    assert energy["Reading"] == energy["LifetimeReading"] == pytest.approx(1000)
    assert energy["ElectricalContext"] == "Total"
    assert _get(front, f"{SENSORS}/Device_meter_current.L2")["ElectricalContext"] == "Line2"
    voltage = _get(front, f"{SENSORS}/Device_meter_voltage.L3")
    assert voltage["ElectricalContext"] == "Line3ToNeutral"
    assert _get(front, f"{SENSORS}/Device_meter_pf.total")["ReadingType"] is None
    circuit = _get(front, f"{BUS}/Mains/1")
    assert circuit["UnbalancedCurrentPercent"]["Reading"] == pytest.approx(10, rel=1e-3)
    assert circuit["NominalVoltage"] == "AC230V"
    assert circuit["PowerLoadPercent"]["Reading"] == pytest.approx(69, rel=1e-3)


def test_a_reading_beyond_a_limit_is_unwell_and_keeps_its_peak(site: Site, front: Served) -> None:
    """The contract's limit warns; the highest power stays with its time when the power falls."""
    uri = f"{SENSORS}/Facility_Power"
    wait_for(lambda: _get(front, uri)["Status"]["Health"] == "Warning", 10, "over the contract")
    assert _get(front, uri)["Thresholds"]["UpperCaution"] == {"Reading": 6000}
    site.meter.set("power.active.total", 3000.0)
    try:
        wait_for(lambda: (_get(front, uri)["Reading"] or 9e9) < 3100, 10, "less power")
        found = _get(front, uri)
        assert found["Status"]["Health"] == "OK"
        assert found["PeakReading"] == pytest.approx(6900, rel=1e-3)
        assert found["PeakReadingTime"] < found["ReadingTime"]
    finally:
        site.meter.set("power.active.total", 6900.0)


def test_old_clients_find_what_the_sensors_say(site: Site, front: Served) -> None:
    """Power and Thermal tell each sensor's reading, limit and health; unknown is null."""
    found = _get(front, f"{ROOT}/Chassis/DCPI")
    uri = f"{SENSORS}/Facility_Power"
    wait_for(lambda: (_get(front, uri)["Reading"] or 0) > 6800, 10, "the meter's full power")
    power = _get(front, found["Power"]["@odata.id"])
    (control,) = power["PowerControl"]
    assert control["PowerConsumedWatts"] == pytest.approx(6900, rel=1e-3)
    assert control["PowerCapacityWatts"] == 20e3
    assert control["PowerLimit"] == {"LimitInWatts": 6000, "LimitException": "LogEventOnly"}
    assert [one["ReadingVolts"] for one in power["Voltages"]] == [230.0] * len(power["Voltages"])
    assert len(power["Voltages"]) >= 3
    thermal = _get(front, found["Thermal"]["@odata.id"])
    for one in thermal["Temperatures"]:
        sensor = _get(front, one["RelatedItem"][0]["@odata.id"])
        assert sensor["ReadingUnits"] == "Cel"
        assert (one["Name"], one["ReadingCelsius"]) == (sensor["Name"], sensor["Reading"])
        assert one["Status"] == sensor["Status"]
    assert [one["ReadingCelsius"] for one in thermal["Temperatures"]] == pytest.approx(
        [20, 21], abs=0.01
    )
    site.pipes.update({"temperature.ch0": 60.0})
    supply = f"{SENSORS}/Loop_loop-a_SupplyTemperature"
    try:
        wait_for(lambda: _get(front, supply)["Status"]["Health"] == "Critical", 10, "too warm")
        warm = _get(front, found["Thermal"]["@odata.id"])["Temperatures"][0]
        assert (round(warm["ReadingCelsius"]), warm["Status"]["Health"]) == (60, "Critical")
        assert warm["UpperThresholdCritical"] < 60
    finally:
        site.pipes.update({"temperature.ch0": 20.0})


def test_a_set_point_reaches_the_drives_register(site: Site, front: Served) -> None:
    """A PATCH is a write to the device; a set point that is not a number of JSON's is refused."""
    written: list[tuple[str, float]] = []
    site.drive.on_write = lambda point, value: written.append((point, value))
    assert front.ask("PATCH", CONTROL, {"SetPoint": 75}).status == 200
    assert written == [("speed.reference", pytest.approx(75, abs=0.01))]
    assert _get(front, CONTROL)["SetPoint"] == pytest.approx(75, abs=0.01)
    assert front.ask("PATCH", CONTROL, b'{"SetPoint": NaN}').status == 400
    error = front.ask("PATCH", CONTROL, {"SetPoint": 170}).body["error"]
    assert error["code"].endswith(".PropertyValueOutOfRange")
    assert error["@Message.ExtendedInfo"][0]["MessageArgs"] == ["170", "SetPoint"]
    assert front.audit("thermal.control.planned")[-1]["systems"][0]["speed_percent"] == 75
    assert front.ask("PATCH", f"{UNIT}/Pumps/1", {"SpeedControlPercent": 50}).status == 400
    assert len(written) == 1


def test_what_is_shown_cannot_be_written_and_what_is_not_is_unknown(front: Served) -> None:
    """Controls, pumps, connectors and the facility's limit tell one from the other."""
    limit = f"{ROOT}/Chassis/DCPI/Controls/Facility_PowerLimit"
    for uri in (CONTROL, limit, f"{UNIT}/Pumps/1", f"{UNIT}/SecondaryCoolantConnectors/1"):
        error = front.ask("PATCH", uri, {"Name": "x", "Colour": 1}).body["error"]
        keys = [info["MessageId"] for info in error["@Message.ExtendedInfo"]]
        assert [key.rpartition(".")[2] for key in keys] == [
            "PropertyNotWritable", "PropertyUnknown",
        ]  # fmt: skip


def test_observe_mode_writes_nothing_and_says_so(site: Site) -> None:
    """A service that only observes shows the set point and refuses to change it."""
    site.drive.set("speed.reference", 60.0)
    written: list[str] = []
    site.drive.on_write = lambda point, value: written.append(point)  # noqa: ARG005
    with _fresh(site).serving(control="observe") as front:
        shown = _get(front, CONTROL)
        assert (shown["ControlMode"], shown["Implementation"]) == ("Manual", "Monitored")
        assert shown["SetPoint"] == pytest.approx(60, abs=0.01)
        answer = front.ask("PATCH", CONTROL, {"SetPoint": 80})
        assert answer.status == 409
        assert "observe" in answer.body["error"]["message"]
    assert written == []


def test_switches_hide_what_they_name(site: Site) -> None:
    """Without power_equipment and legacy neither the trees nor links to them are there."""
    with _fresh(site).serving(power_equipment=False, legacy=False) as front:
        assert "PowerEquipment" not in _get(front, ROOT)
        for uri in ("", "/ElectricalBuses", "/ElectricalBuses/feed", "/ElectricalBuses/feed/Mains"):
            assert front.ask("GET", f"{ROOT}/PowerEquipment{uri}").status == 404
        detection = _get(front, f"{UNIT}/LeakDetection")
        assert "LeakDetectors" not in detection
        assert front.ask("GET", f"{UNIT}/LeakDetection/LeakDetectors").status == 404
        assert {"Power", "Thermal"}.isdisjoint(_get(front, f"{ROOT}/Chassis/DCPI"))
        types = _get(front, f"{ROOT}/EventService")["ResourceTypes"]
        for name in ("Power", "Thermal"):
            assert front.ask("GET", f"{ROOT}/Chassis/DCPI/{name}").status == 404
            assert name not in types

        def state() -> str | None:
            group = _get(front, f"{UNIT}/LeakDetection")["LeakDetectorGroups"][0]
            return group["Detectors"][0]["DetectorState"]

        wait_for(lambda: state() == "Critical", 5, "the detector's point, which reads 1")
        detector = detection["LeakDetectorGroups"][0]["Detectors"][0]
        found = _get(front, detector["DataSourceUri"])
        assert found["LeakDetectorType"] == "FloatSwitch"


def test_configured_limits_come_before_the_nameplates(site: Site) -> None:
    """They are in the sensor's own unit: kPa for a pressure that is measured in bar."""
    limits = {"Loop_loop-a_Pressure": {"UpperCritical": 240, "LowerCaution": 120.5}}
    with _fresh(site).serving(thresholds=limits) as front:
        uri = f"{SENSORS}/Loop_loop-a_Pressure"
        wait_for(lambda: _get(front, uri)["Reading"], 5, "the first reading")
        found = _get(front, uri)
        assert found["Thresholds"]["UpperCritical"]["Reading"] == pytest.approx(240)
        assert found["Thresholds"]["LowerCaution"]["Reading"] == pytest.approx(120.5)
        assert found["Status"]["Health"] == "Critical"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"thresholds": {"Loop_x_Flow": {"UpperCritical": 1}}}, "no sensor 'Loop_x_Flow'"),
        (
            {"loops": [{"id": "l", "cooling_unit": {"humidity": "drive/nothing"}}]},
            "loops/l: .*nothing",
        ),
        (
            {"loops": [{"id": "l", "cooling_unit": {"primary": {"fluid": "milk"}}}]},
            "loops/l/cooling_unit/primary: unknown fluid 'milk'",
        ),
        (
            {"feeds": [{**_FEED, "equipment": {"battery": {"charge": "no/where"}}}]},
            "no device 'no'",
        ),
    ],
)
def test_what_refers_to_nothing_is_named_at_the_start(
    site: Site, changes: dict[str, Any], said: str
) -> None:
    """A service does not start on a configuration that points nowhere."""
    fresh = _fresh(site)
    with contextlib.ExitStack() as stack, pytest.raises(ConfigurationError, match=said):
        Service(parse_config(fresh.document(stack) | changes, base=fresh.directory))


def _fresh(site: Site) -> Site:
    """The same devices, another state."""
    fresh = Site.__new__(Site)
    fresh.__dict__.update(site.__dict__)
    fresh.directory = Path(tempfile.mkdtemp(dir=site.directory.parent))
    return fresh
