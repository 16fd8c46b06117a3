"""What happens in the plant reaches an HTTPS listener outside, and subscriptions outlive a kill."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from e2e.emulator_client import Running, emulator, wait_for
from e2e.test_power_events import settled, start_load
from event_listener import EventListener, event_listener

from emulator.plant.client import PlantControl

SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"
SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"
REALTIME = "/redfish/v1/dcpi/power/realtime"


def subscribe(bmc: Running, listener: EventListener) -> str:
    """The URI of a subscription to everything."""
    body = {"Destination": listener.url, "Protocol": "Redfish", "Context": "e2e"}
    answer = bmc.ask("POST", SUBSCRIPTIONS, body)
    assert answer.status == 201, answer.body
    return answer.headers["location"]


def test_a_plant_tells_of_its_troubles(tmp_path: Path) -> None:
    """A load step, a device that dies and comes back, a system that is switched: each is told.

    The subscription is made once, and works on after kill -9.
    """
    with event_listener(tmp_path / "listener") as listener:
        with emulator(tmp_path / "bmc") as bmc:
            uri = subscribe(bmc, listener)
            bmc.kill()
        with emulator(tmp_path / "bmc") as bmc:
            assert bmc.get(uri)["Context"] == "e2e"
            settled(bmc)
            with PlantControl(tmp_path / "bmc" / "plant" / "control.sock") as plant:
                start_s = start_load(plant, "sudden", 1e12)
                step = listener.wait_for("PowerChanged", 20)
                plant.device_stop("loop_a_flow")
                lost = listener.wait_for("DeviceLost", 20)
                plant.device_start("loop_a_flow")
                back = listener.wait_for("DeviceRestored", 20)
            assert step["MessageArgs"][0] == "all feeds"
            assert float(step["MessageArgs"][1]) >= 50e6  # as far as it went when it was seen
            whole = listener.wait_for("PowerChangeEnded")["MessageArgs"][1]
            assert float(whole) == pytest.approx(90e6, rel=0.05)
            assert time.time() - start_s < 60
            assert lost["MessageArgs"] == back["MessageArgs"] == ["loop_a_flow"]
            origin = lost["OriginOfCondition"]["@odata.id"]
            assert origin.startswith(f"{SENSORS}/Device_loop_a_flow_")
            assert bmc.get(origin)["Status"]["Health"] == "OK"
            failed = listener.wait_for("SensorFailure")
            assert (
                failed["OriginOfCondition"]["@odata.id"]
                == f"{SENSORS}/Loop_liquid_cooling_loop_a_Flow"
            )
            system = bmc.get("/redfish/v1/Systems")["Members"][0]["@odata.id"]
            wanted = "ForceOff" if bmc.get(system)["PowerState"] == "On" else "On"
            reset = f"{system}/Actions/ComputerSystem.Reset"
            assert bmc.ask("POST", reset, {"ResetType": wanted}).status < 300
            word = "ResourcePoweredOff" if wanted == "ForceOff" else "ResourcePoweredOn"
            switched = listener.wait_for(word, 20)
            assert switched["OriginOfCondition"]["@odata.id"] == system


def test_a_hanging_listener_slows_no_reading(bmc: Running, tmp_path: Path) -> None:
    """While a listener takes nothing, GETs are answered and windows go on."""
    with event_listener(tmp_path / "listener") as listener:
        listener.hold.clear()
        uri = subscribe(bmc, listener)
        wait_for(lambda: listener.posts, 10, "the first event")
        first = bmc.get(REALTIME)["WindowId"]
        began_s = time.monotonic()
        for _ in range(20):
            bmc.get(REALTIME)
        wait_for(lambda: bmc.get(REALTIME)["WindowId"] >= first + 10, 5, "ten more windows")
        assert time.monotonic() - began_s < 8
        assert bmc.ask("DELETE", uri).status == 204


def test_a_limit_that_the_plant_passes_reaches_a_listener(tmp_path: Path) -> None:
    """200 MW more are beyond the rating of each hall: told as critical, and as over when they end.

    The event's threshold is the one that the Sensor shows.
    """
    with (
        event_listener(tmp_path / "listener") as listener,
        emulator(tmp_path / "bmc") as bmc,
        PlantControl(tmp_path / "bmc" / "plant" / "control.sock") as plant,
    ):
        settled(bmc)
        body = {
            "Destination": listener.url,
            "Protocol": "Redfish",
            "ResourceTypes": ["Sensor"],
            "OriginResources": [{"@odata.id": f"{SENSORS}/Feed_hall_1_Power"}],
        }
        assert bmc.ask("POST", SUBSCRIPTIONS, body).status == 201
        plant.workload(
            "huge",
            start_unix_s=time.time() + 0.5,
            end_unix_s=None,
            baseline_w=200e6,
            peak_w=200e6,
            max_w=200e6,
            ramp_w_per_s=1e12,
        )
        passed = listener.wait_for("ReadingAboveUpperCriticalThreshold", 20)
        name, reading, units, limit = passed["MessageArgs"]
        sensor = bmc.get(passed["OriginOfCondition"]["@odata.id"])
        assert (name, units) == (sensor["Id"], sensor["ReadingUnits"])
        assert float(limit) == sensor["Thresholds"]["UpperCritical"]["Reading"]
        assert float(reading) >= float(limit)
        plant.workload_remove("huge")
        normal = listener.wait_for("SensorReadingNormalRange", 20)
        assert normal["MessageArgs"][0] == name
