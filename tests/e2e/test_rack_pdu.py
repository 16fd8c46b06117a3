"""The emulated rack PDU: its readings are the plant's truth, and its outlets can be switched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from e2e.emulator_client import Running, wait_for

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
    """Each within its meter's class; branch and mains are their sums, as they are measured."""
    wait_for(lambda: _read(bmc, OUTLET), 15, "the PDU's first reading")
    members = bmc.get(f"{PDU}/Outlets")["Members"]
    for member, outlet in zip(members, plant.truth()["rack_pdu"], strict=True):
        assert _read(bmc, member["@odata.id"]) == pytest.approx(outlet["power_w"], rel=0.03)
    branch = bmc.get(f"{PDU}/Branches/L2")
    own = [_read(bmc, link["@odata.id"]) for link in branch["Links"]["Outlets"]]
    assert len(own) == 2
    assert branch["PowerWatts"]["Reading"] == pytest.approx(sum(own), rel=0.03)
    total = _read(bmc, f"{PDU}/Mains/1")
    assert total == pytest.approx(sum(o["power_w"] for o in plant.truth()["rack_pdu"]), rel=0.03)
    amps = [reading["Reading"] for reading in _mains(bmc)["PolyPhaseCurrentAmps"].values()]
    assert _read(bmc, f"{PDU}/Metrics", "PowerLoadPercent") == pytest.approx(
        max(amps) / 32 * 100, rel=0.03
    )


def _mains(bmc: Running) -> Any:
    return bmc.get(f"{PDU}/Mains/1")


def test_an_outlet_is_switched_in_the_plant(bmc: Running, plant: PlantControl) -> None:
    """The relay opens, the branch loses the outlet's power, an event tells, and back again."""
    branch_w = _read(bmc, f"{PDU}/Branches/L2")
    outlet_w = _read(bmc, OUTLET)
    try:
        assert bmc.ask("POST", CONTROL, {"PowerState": "Off"}).status == 204
        assert [outlet["on"] for outlet in plant.truth()["rack_pdu"]].index(False) == 2
        wait_for(lambda: bmc.get(OUTLET)["PowerState"] == "Off", 15, "the outlet off")
        wait_for(lambda: _read(bmc, OUTLET) == 0, 15, "no power")
        left_w = _read(bmc, f"{PDU}/Branches/L2")
        assert left_w == pytest.approx(branch_w - outlet_w, rel=0.03)
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
