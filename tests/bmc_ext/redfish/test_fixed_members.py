"""What is made once of the sensors says what a look at each would, and ends with its device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from served_front import Served, served, wait_for

from bmc_ext.config import parse_config
from bmc_ext.redfish.context import Context
from bmc_ext.redfish.entity_tag import etag
from bmc_ext.redfish.host_members import with_members
from drivers.engine import DeviceSpec

SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"
_DEAD = "tcp://127.0.0.1:9"
_SITE = {
    "facility": {"id": "s", "rated_power_w": 1e5},
    "devices": [{"id": "m", "profile": "eastron.sdm630", "target": _DEAD}],
    "feeds": [{"id": "f", "rated_power_w": 2e4, "meter": "m"}],
    "loops": [{"id": "l"}],
    "thresholds": {"Loop_l_Flow": {"LowerCaution": 10, "LowerCritical": 5}},
}


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Served]:
    """A service of that site, after its first window; its meter is dead."""
    config = parse_config({**_SITE, "state_dir": str(tmp_path)}, base=tmp_path)
    with served(tmp_path, config=config) as it:
        wait_for(lambda: it.ask("GET", f"{SENSORS}/Facility_Power").status == 200, 15, "a window")
        yield it


def _get(front: Served, uri: str) -> Any:
    answer = front.ask("GET", uri)
    assert answer.status == 200, answer.body
    return answer.body


def test_every_tag_is_that_of_what_is_shown_without_readings(front: Served) -> None:
    """Of the collection, and of each member by itself and expanded."""
    listed = _get(front, SENSORS)
    assert listed.pop("@odata.etag") == etag(listed)
    found = front.service.registry.find(f"{SENSORS}/any")
    assert found is not None
    members = _get(front, f"{SENSORS}?$expand=.")["Members"]
    assert [{"@odata.id": member["@odata.id"]} for member in members] == listed["Members"]
    limited = [member["Id"] for member in members if "Thresholds" in member]
    assert limited == ["Facility_Power", "Feed_f_Power", *(f"Loop_l_{n}" for n in _LIMITED)]
    for member in members:
        alone = _get(front, member["@odata.id"])
        tag = member.pop("@odata.etag")
        assert tag == alone["@odata.etag"] == etag(member, found[0].volatile)


_LIMITED = ("SupplyTemperature", "ReturnTemperature", "Flow")


def test_what_is_shown_goes_and_comes_with_a_device(front: Served) -> None:
    """Another device of the same id is shown as what it is."""
    engine = front.service.measuring.instruments.engine
    before = _get(front, SENSORS)
    assert _get(front, f"{SENSORS}/Device_m_frequency")["ReadingUnits"] == "Hz"
    engine.remove("m")
    without = _get(front, SENSORS)
    assert not [link for link in without["Members"] if "/Device_" in link["@odata.id"]]
    assert without["@odata.etag"] != before["@odata.etag"]
    assert front.ask("GET", f"{SENSORS}/Device_m_frequency").status == 404
    engine.add(DeviceSpec("m", "keller.33x", _DEAD))
    after = _get(front, f"{SENSORS}?$expand=.")
    shown = {member["Id"] for member in after["Members"] if member["Id"].startswith("Device_")}
    assert shown == {f"Device_m_{point}" for point in engine.readings("m")}
    # A pressure is nothing without what it is against.
    assert _get(front, f"{SENSORS}/Device_m_pressure.P1")["Name"] == "m pressure.P1 absolute"


def test_a_tag_of_our_members_is_not_that_of_a_hosts_beside_them() -> None:
    """The whole collection gets its own."""
    host = SimpleNamespace(members=lambda collection: ("x",) if collection == "Ours" else ())
    context = cast(Context, SimpleNamespace(host=host))
    ours = {"Members": [{"@odata.id": "/redfish/v1/Ours/a"}], "@odata.etag": "of a"}
    merged = cast(dict[str, Any], with_members(context, "/redfish/v1/Ours", ours))
    assert [link["@odata.id"][-1] for link in merged["Members"]] == ["x", "a"]
    assert "@odata.etag" not in merged
    assert with_members(context, "/redfish/v1/Others", ours) is ours
