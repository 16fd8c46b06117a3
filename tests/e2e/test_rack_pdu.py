"""The emulated rack PDU: its readings are the plant's truth, and its outlets can be switched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pytest
from e2e.emulator_client import Running, wait_for
from e2e.moving_truth import moving_truth

from emulator.plant.client import PlantControl

PDU = "/redfish/v1/PowerEquipment/RackPDUs/rack_pdu_1"
OUTLET = f"{PDU}/Outlets/3"
CONTROL = f"{OUTLET}/Actions/Outlet.PowerControl"


@pytest.fixture(scope="module")
def plant(bmc: Running) -> Iterator[PlantControl]:
    """The truth behind the running BMC."""
    with PlantControl(bmc.state_dir / "plant" / "control.sock") as control:
        yield control


def _read(bmc: Running, uri: str, name: str = "PowerWatts") -> Any:
    return bmc.get(uri)[name]["Reading"]


def test_its_outlets_show_the_truth(bmc: Running, plant: PlantControl) -> None:
    """Each within its meter's class, and so the mains; a branch is the sum of what it feeds."""
    wait_for(lambda: _read(bmc, OUTLET), 15, "the PDU's first reading")
    members = bmc.get(f"{PDU}/Outlets")["Members"]
    assert len(members) == len(plant.truth()["rack_pdu"])
    with moving_truth(plant) as truth:
        for place, member in enumerate(members):
            truth.check(_read(bmc, member["@odata.id"]), partial(_power_w, [place]), rel=0.007)
        truth.check(_read(bmc, f"{PDU}/Mains/1"), partial(_power_w, range(6)), rel=0.007)
    assert len(bmc.get(f"{PDU}/Branches/L2")["Links"]["Outlets"]) == 2
    wait_for(lambda: _is_sum(bmc), 15, "branch and outlets of one measurement")
    wait_for(lambda: _is_load_of_largest(bmc), 15, "load and currents of one measurement")


def _power_w(places: Iterable[int], truth: dict[str, Any]) -> float:
    return sum(float(truth["rack_pdu"][place]["power_w"]) for place in places)


def _is_sum(bmc: Running) -> bool:
    """Whether the branch shows exactly what its outlets show: each is rounded for itself."""
    branch = bmc.get(f"{PDU}/Branches/L2")
    own = [_read(bmc, link["@odata.id"]) for link in branch["Links"]["Outlets"]]
    return bool(branch["PowerWatts"]["Reading"] == pytest.approx(sum(own), rel=0.001))


def _is_load_of_largest(bmc: Running) -> bool:
    amps = [one["Reading"] for one in bmc.get(f"{PDU}/Mains/1")["PolyPhaseCurrentAmps"].values()]
    load = _read(bmc, f"{PDU}/Metrics", "PowerLoadPercent")
    return bool(load == pytest.approx(max(amps) / 32 * 100, rel=0.001))


def test_an_outlet_is_switched_in_the_plant(bmc: Running, plant: PlantControl) -> None:
    """The relay opens, the branch loses the outlet's power, an event tells, and back again."""
    wait_for(lambda: _is_sum(bmc), 15, "branch and outlets of one measurement")
    assert _read(bmc, OUTLET) > 0
    try:
        assert bmc.ask("POST", CONTROL, {"PowerState": "Off"}).status == 204
        assert [outlet["on"] for outlet in plant.truth()["rack_pdu"]].index(False) == 2
        wait_for(lambda: bmc.get(OUTLET)["PowerState"] == "Off", 15, "the outlet off")
        wait_for(lambda: _read(bmc, OUTLET) == 0, 15, "no power")
        with moving_truth(plant) as truth:
            truth.check(_read(bmc, f"{PDU}/Branches/L2"), partial(_power_w, [3]), rel=0.007)
    finally:
        assert bmc.ask("POST", CONTROL, {"PowerState": "On"}).status == 204
    wait_for(lambda: bmc.get(OUTLET)["PowerState"] == "On", 15, "the outlet on")
    assert all(outlet["on"] for outlet in plant.truth()["rack_pdu"])


def test_a_pdu_that_does_nothing_is_not_believed(bmc: Running, plant: PlantControl) -> None:
    """It acknowledges and ignores: the order fails, and the outlet is shown as it is."""
    plant.device_ignore_writes("rack_pdu_1", True)
    try:
        assert bmc.ask("POST", CONTROL, {"PowerState": "Off"}).status == 409
        assert plant.truth()["rack_pdu"][2]["on"]
        assert bmc.get(OUTLET)["PowerState"] == "On"
    finally:
        plant.device_ignore_writes("rack_pdu_1", False)
