"""A configured rack PDU over a device on a real socket: what is shown, switched and written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from event_listener import event_listener
from served_front import Served, served, wait_for

from bmc_ext.config import parse_config
from drivers.profile import load_profile
from drivers.simulation import ModbusTcpServer, SimulatedDevice

ROOT = "/redfish/v1"
PDU = f"{ROOT}/PowerEquipment/RackPDUs/pdu"
OUTLET = f"{PDU}/Outlets/1"
CONTROL = f"{OUTLET}/Actions/Outlet.PowerControl"
RESET = f"{PDU}/Metrics/Actions/PowerDistributionMetrics.ResetMetrics"
PROFILES = Path("emulator/plant/devices").resolve()


class Rack:
    """A PDU whose relays follow its switches unless they are `stuck`."""

    def __init__(self) -> None:
        self.device = SimulatedDevice(load_profile("plant.rack_pdu", [PROFILES]))
        self.stuck = False
        self.written: list[tuple[str, float]] = []
        self.device.on_write = self._switch
        self.device.update(
            {
                "frequency": 50.0,
                "power.active.total": 800.0,
                "energy.active.import": 3.6e6 * 7,
                **{f"voltage.L{n}": 230.0 for n in (1, 2, 3)},
                **{f"current.L{n}": 2.0 * n for n in (1, 2, 3)},
                "power.active.outlet1": 400.0,
                "current.outlet1": 1.75,
                "state.outlet1": 1.0,
                "switch.outlet1": 1.0,
            }
        )

    def _switch(self, point: str, value: float) -> None:
        self.written.append((point, value))
        if not self.stuck:
            self.device.set(point.replace("switch", "state"), value)
            self.device.set("power.active.outlet1", 400.0 * value)


def document(target: str, **changes: Any) -> dict[str, Any]:
    """A site with that PDU: outlet 1 can be switched, outlet 2 only tells its power."""
    pdu = {
        "id": "pdu",
        "nameplate": {"manufacturer": "Maker", "service_label": "Left"},
        "placement": {"rack": "7"},
        "mains": {
            "rated_current_a": 16,
            "power": "strip/power.active.total",
            "energy": "strip/energy.active.import",
            "lines": {
                f"L{n}": {"voltage": f"strip/voltage.L{n}", "current": f"strip/current.L{n}"}
                for n in (1, 2, 3)
            },
        },
        "branches": [{"id": "A", "line": "L1", "voltage": "strip/voltage.L1"}],
        "outlets": [
            {
                "id": "1",
                "branch": "A",
                "type": "IEC_60320_C13",
                "restore": "LastState",
                "power": "strip/power.active.outlet1",
                "state": "strip/state.outlet1",
                "switch": "strip/switch.outlet1",
            },
            {"id": "2", "branch": "A", "power": "strip/power.active.outlet2"},
        ],
    }
    return {
        "facility": {"id": "site", "rated_power_w": 20e3},
        "state_dir": "state",
        "control": "act",
        "profile_dirs": [str(PROFILES)],
        "devices": [{"id": "strip", "profile": "plant.rack_pdu", "target": target, "unit": 1}],
        "rack_pdus": [pdu],
        "events": {"allow_loopback": True},
        **changes,
    }


@pytest.fixture(scope="module")
def strip() -> Iterator[tuple[Rack, str]]:
    """The PDU at its address."""
    rack = Rack()
    server = ModbusTcpServer({1: rack.device})
    server.start()
    yield rack, f"tcp://{server.host}:{server.port}"
    server.stop()


@pytest.fixture(scope="module")
def rack(strip: tuple[Rack, str]) -> Rack:
    """The PDU."""
    return strip[0]


@contextlib.contextmanager
def serving(directory: Path, target: str, **changes: Any) -> Iterator[Served]:
    """The service, once the PDU has been read."""
    config = parse_config(document(target, **changes), base=directory)
    with served(directory / "state", config=config) as front:
        uri = f"{ROOT}/Chassis/DCPI/Sensors/Device_strip_power.active.total"
        wait_for(lambda: get(front, uri)["Reading"] is not None, 15, "the PDU's power")
        yield front


@pytest.fixture(scope="module")
def front(strip: tuple[Rack, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that acts."""
    with serving(tmp_path_factory.mktemp("rack"), strip[1]) as it:
        yield it


def get(front: Served, uri: str) -> Any:
    """The body of a GET that succeeds."""
    answer = front.ask("GET", uri)
    assert answer.status == 200, answer
    return answer.body


def until(front: Served, uri: str, holds: Callable[[Any], bool], what: str) -> None:
    """Wait until the resource is so."""
    wait_for(lambda: holds(get(front, uri)), 15, what)


def test_only_what_is_declared_is_shown(front: Served) -> None:
    """No property without a point or a declaration, and each reading leads to its sensor."""
    pdu = get(front, PDU)
    assert pdu["EquipmentType"] == "RackPDU"
    assert not {"Model", "SerialNumber", "FirmwareVersion"} & set(pdu)
    assert pdu["Location"]["Placement"] == {"Row": None, "Rack": "7"}
    assert pdu["Location"]["PartLocation"] == {"ServiceLabel": "Left"}
    second = get(front, f"{PDU}/Outlets/2")
    hidden = {"Actions", "CurrentAmps", "Voltage", "OutletType", "PowerRestorePolicy"}
    assert not hidden & set(second)
    assert second["PowerState"] is None
    first = get(front, OUTLET)
    assert first["ElectricalContext"] == "Line1ToNeutral"
    sensor = get(front, first["PowerWatts"]["DataSourceUri"])
    assert sensor["Reading"] == first["PowerWatts"]["Reading"] == 400
    mains = get(front, f"{PDU}/Mains/1")
    assert mains["PolyPhaseVoltage"]["Line2ToNeutral"]["Reading"] == 230
    assert "PolyPhasePowerWatts" not in mains
    assert mains["PowerState"] == get(front, f"{PDU}/Branches/A")["PowerState"] == "On"
    load = get(front, f"{PDU}/Metrics")["PowerLoadPercent"]
    assert load == {"Reading": pytest.approx(6 / 16 * 100)}
    for nowhere in (f"{PDU}/Outlets/3", f"{PDU}/Branches/B", f"{PDU}x", f"{ROOT}/Chassis/pdux"):
        assert front.ask("GET", nowhere).status == 404


def test_its_chassis_and_it_lead_to_each_other(front: Served) -> None:
    """The chassis has the PDU's sensors and no others, and both have one UUID."""
    pdu = get(front, PDU)
    (chassis,) = pdu["Links"]["Chassis"]
    body = get(front, chassis["@odata.id"])
    assert body["ChassisType"] == "PowerStrip"
    assert body["Links"]["PowerDistribution"] == {"@odata.id": PDU}
    assert body["UUID"] == pdu["UUID"]
    assert chassis in get(front, f"{ROOT}/Chassis")["Members"]
    sensors = get(front, body["Sensors"]["@odata.id"])["Members"]
    assert len(sensors) == 12
    assert {"@odata.id": f"{ROOT}/Chassis/DCPI/Sensors/Device_strip_state.outlet1"} in sensors


def test_an_order_is_done_at_the_device_and_seen_in_its_readings(rack: Rack, front: Served) -> None:
    """The switch is written, the relay opens, state and power follow, and it is audited."""
    rack.written.clear()
    try:
        assert front.ask("POST", CONTROL, {"PowerState": "Off"}).status == 204
        assert rack.written == [("switch.outlet1", 0.0)]
        until(front, OUTLET, lambda b: b["PowerState"] == "Off", "the outlet off")
        until(front, OUTLET, lambda b: b["PowerWatts"]["Reading"] == 0, "no power")
        assert front.audit("outlet.switch.planned")[-1]["on"] is False
        assert front.audit("outlet.switch.done")[-1]["status"] == "accepted"
    finally:
        assert front.ask("POST", CONTROL, {"PowerState": "On"}).status == 204
    until(front, OUTLET, lambda b: b["PowerState"] == "On", "the outlet on")


def test_an_outlet_that_is_switched_is_told(rack: Rack, front: Served, tmp_path: Path) -> None:
    """A listener hears it of DMTF's registry Power, whoever switched it."""
    with event_listener(tmp_path / "listener") as listener:
        wanted = {
            "Destination": listener.url,
            "Protocol": "Redfish",
            "RegistryPrefixes": ["Power"],
        }
        made = front.ask("POST", f"{ROOT}/EventService/Subscriptions", wanted)
        assert made.status == 201
        # What was never seen before it changed is no change: so both ways, until one is told.
        for switched in (0.0, 1.0) * 5:
            rack.device.set("state.outlet1", switched)  # by hand, at the PDU
            with contextlib.suppress(AssertionError):
                listener.wait_for("OutletPowered" + ("On" if switched else "Off"), 2.0)
                break
        rack.device.set("state.outlet1", 1.0)
        listener.wait_for("OutletPoweredOn")
        rack.device.set("state.outlet1", 0.0)
        record = listener.wait_for("OutletPoweredOff")
        assert record["OriginOfCondition"] == {"@odata.id": OUTLET}
        assert record["Message"] == "Outlet 'pdu 1' powered off."
        rack.device.set("state.outlet1", 1.0)
        listener.wait_for("OutletPoweredOn")
        assert front.ask("DELETE", made.headers["location"]).status in (200, 204)


def test_what_is_not_done_is_an_error(rack: Rack, front: Served) -> None:
    """A device that ignores the order, and a relay that does not follow it."""
    rack.device.ignores_writes = True
    try:
        answer = front.ask("POST", CONTROL, {"PowerState": "Off"})
        assert answer.status == 409
        assert "the device holds 1" in answer.body["error"]["message"]
    finally:
        rack.device.ignores_writes = False
    rack.stuck = True
    try:
        answer = front.ask("POST", CONTROL, {"PowerState": "Off"})
        assert answer.status == 409
        assert "took the order and the outlet is on" in answer.body["error"]["message"]
        assert get(front, OUTLET)["PowerState"] == "On"
    finally:
        rack.stuck = False
        assert front.ask("POST", CONTROL, {"PowerState": "On"}).status == 204


def test_a_dead_branch_feeds_no_outlet(rack: Rack, front: Served) -> None:
    """An outlet whose relay is closed is off all the same while its line has no voltage."""
    rack.device.set("voltage.L1", 0.0)
    try:
        until(front, OUTLET, lambda b: b["PowerState"] == "Off", "no voltage, no power")
        assert get(front, f"{PDU}/Branches/A")["PowerState"] == "Off"
        assert get(front, f"{PDU}/Mains/1")["PowerState"] == "On"
    finally:
        rack.device.set("voltage.L1", 230.0)
    until(front, OUTLET, lambda b: b["PowerState"] == "On", "the line is back")


def test_a_silent_pdu_is_unknown_and_takes_no_order(rack: Rack, front: Served) -> None:
    """Its readings become null with a State, and an order is 503."""
    rack.device.silent = True
    try:
        until(front, OUTLET, lambda b: b["PowerState"] is None, "the state is not known")
        body = get(front, OUTLET)
        assert body["PowerWatts"]["Reading"] is None
        assert body["Status"]["State"] == "UnavailableOffline"
        assert get(front, f"{PDU}/Metrics")["PowerLoadPercent"] == {"Reading": None}
        assert front.ask("POST", CONTROL, {"PowerState": "Off"}).status == 503
        assert front.ask("POST", RESET, {}).status == 409
    finally:
        rack.device.silent = False
    until(front, OUTLET, lambda b: b["PowerState"] == "On", "the PDU is back")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "ActionParameterMissing"),
        ({"PowerState": "Sideways"}, "ActionParameterValueNotInList"),
        ({"PowerState": 1}, "ActionParameterValueTypeError"),
        ({"PowerState": "Off", "When": "now"}, "ActionParameterUnknown"),
    ],
)
def test_a_wrong_order_is_named(front: Served, body: Any, message: str) -> None:
    """Nothing is switched, and the message is that of an action's parameter."""
    answer = front.ask("POST", CONTROL, body)
    assert answer.status == 400
    assert answer.body["error"]["code"].endswith(message)


def test_an_outlet_without_a_switch_has_no_action(front: Served) -> None:
    """It is not there, as nobody could carry it out."""
    uri = f"{PDU}/Outlets/2/Actions/Outlet.PowerControl"
    assert front.ask("POST", uri, {"PowerState": "Off"}).status == 404


def test_labels_are_kept_and_checked(front: Served) -> None:
    """Texts and places are stored; what is wrong is named and leaves all as it was."""
    place = {"Location": {"Placement": {"Rack": "9", "RackOffset": 12, "RackOffsetUnits": "OpenU"}}}
    body = {"UserLabel": "web servers", "AssetTag": "A-1", **place}
    assert front.ask("PATCH", PDU, body).status == 200
    found = get(front, PDU)
    assert (found["UserLabel"], found["AssetTag"]) == ("web servers", "A-1")
    assert found["Location"]["Placement"] == {"Row": None, **place["Location"]["Placement"]}
    for uri in (OUTLET, f"{PDU}/Branches/A", f"{PDU}/Mains/1"):
        assert front.ask("PATCH", uri, {"UserLabel": "x"}).body["UserLabel"] == "x"
    assert get(front, f"{PDU}/Outlets/2")["UserLabel"] == ""
    place_of = "Location/Placement"
    for wrong, name in (
        ({"UserLabel": 7}, "UserLabel"),
        ({"UserLabel": "a" * 256}, "UserLabel"),
        ({"SerialNumber": "1"}, "SerialNumber"),
        ({"Location": {"Placement": {"RackOffset": -1}}}, f"{place_of}/RackOffset"),
        (
            {"Location": {"Placement": {"RackOffsetUnits": []}}},
            "Location/Placement/RackOffsetUnits",
        ),
        ({"Location": {"Placement": {"Shelf": "1"}}}, f"{place_of}/Shelf"),
        ({"Location": {"Placement": 1}}, place_of),
        ({"Location": []}, "Location"),
    ):
        answer = front.ask("PATCH", PDU, wrong)
        assert answer.status == 400, wrong
        info = answer.body["error"]["@Message.ExtendedInfo"][0]
        assert info["RelatedProperties"] == [f"#/{name}"]
    assert front.ask("PATCH", PDU, {}).status == 400
    assert get(front, PDU)["AssetTag"] == "A-1"
    # Each chassis has a place of its own.
    chassis = f"{ROOT}/Chassis/pdu"
    assert get(front, chassis)["Location"]["Placement"]["Rack"] == "7"
    own = {"Location": {"Placement": {"Row": "C"}}}
    assert front.ask("PATCH", f"{ROOT}/Chassis/DCPI", own).status == 200
    assert get(front, f"{ROOT}/Chassis/DCPI")["Location"]["Placement"] == {"Row": "C", "Rack": None}


def test_energy_counts_from_its_reset(rack: Rack, front: Served) -> None:
    """The metrics begin anew, what the meter counted stays as LifetimeReading."""
    metrics = f"{PDU}/Metrics"
    assert get(front, metrics)["EnergykWh"]["Reading"] == pytest.approx(7)
    assert front.ask("POST", RESET, {}).status == 204
    energy = get(front, metrics)["EnergykWh"]
    assert (energy["Reading"], energy["LifetimeReading"]) == (0, pytest.approx(7))
    assert "DataSourceUri" not in energy
    rack.device.set("energy.active.import", 3.6e6 * 9)
    until(front, metrics, lambda b: b["EnergykWh"]["Reading"] == pytest.approx(2), "2 kWh more")
    assert get(front, f"{PDU}/Mains/1")["EnergykWh"]["Reading"] == pytest.approx(9)
    assert front.ask("POST", RESET, {"Really": True}).status == 400


def test_it_outlives_a_restart(strip: tuple[Rack, str], tmp_path: Path) -> None:
    """Labels and the reset are there in the next process."""
    with serving(tmp_path, strip[1]) as first:
        assert first.ask("PATCH", OUTLET, {"UserLabel": "kept"}).status == 200
        assert first.ask("POST", RESET, {}).status == 204
    with serving(tmp_path, strip[1], control="observe") as again:
        assert get(again, OUTLET)["UserLabel"] == "kept"
        assert get(again, f"{PDU}/Metrics")["EnergykWh"]["Reading"] == 0
        # And in observe mode nothing is written.
        answer = again.ask("POST", CONTROL, {"PowerState": "Off"})
        assert answer.status == 409
        assert "control mode is observe" in answer.body["error"]["message"]
        assert strip[0].device.get("switch.outlet1") == 1


def test_the_switch_of_the_tree_hides_it(strip: tuple[Rack, str], tmp_path: Path) -> None:
    """Without power_equipment neither the PDU nor its chassis is there."""
    with serving(tmp_path, strip[1], power_equipment=False) as front:
        assert "PowerEquipment" not in get(front, ROOT)
        for uri in (PDU, OUTLET, f"{PDU}/Mains", f"{PDU}/Metrics", f"{ROOT}/Chassis/pdu"):
            assert front.ask("GET", uri).status == 404
        assert front.ask("POST", CONTROL, {"PowerState": "Off"}).status == 404
        members = get(front, f"{ROOT}/Chassis")["Members"]
        assert {"@odata.id": f"{ROOT}/Chassis/pdu"} not in members
