"""Ours and the upstream BMC's URIs map one to one, whatever the ids are."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bmc_ext.upstream.paths import MERGED, PREFIX, ROOT, Paths, local

IDS = st.one_of(
    st.from_regex(r"[A-Za-z0-9._~-]{1,12}", fullmatch=True).filter(lambda name: name.strip(".")),
    st.sampled_from(["DCPI", "dcpi", "Dcpi.", PREFIX, f"{PREFIX}DCPI", f"{PREFIX}{PREFIX}x"]),
)
PLACES = st.sampled_from([*MERGED, "Fabrics", "Cables", "Oem/Acme", "JobService/Jobs"])


@given(PLACES, st.lists(IDS, min_size=1, max_size=3))
def test_what_the_bmc_has_is_found_at_one_uri_of_ours(place: str, ids: list[str]) -> None:
    """There and back again is the same path; no two of the BMC's share one of ours."""
    paths = Paths()
    theirs = "/".join((ROOT, place, *ids))
    ours = paths.outward(theirs)
    assert ours is not None
    assert paths.inward(ours) == theirs


@given(PLACES, st.lists(IDS, min_size=1, max_size=3))
@example("TaskService/Tasks", [PREFIX])
@example("TaskService/Tasks", [f"{PREFIX}.."])
def test_what_leads_to_the_bmc_leads_back(place: str, ids: list[str]) -> None:
    """A path of ours that is the BMC's is what a link of the BMC to it becomes."""
    paths = Paths()
    ours = "/".join((ROOT, place, *ids))
    theirs = paths.inward(ours)
    assert theirs is None or paths.outward(theirs) == ours


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/redfish/v1/Systems/1?a=b#/x", "/redfish/v1/Systems/1?a=b#/x"),
        ("https://bmc/redfish/v1/A", "/redfish/v1/A"),
        ("https://BMC:443/redfish/v1/A", "/redfish/v1/A"),
        ("http://bmc/redfish/v1/A", None),
        ("https://bmc:444/redfish/v1/A", None),
        ("//bmc/redfish/v1/A", None),
        ("https://[/redfish/v1/A", None),
        ("https://bmc:x/redfish/v1/A", None),
        ("/redfish/v2/A", None),
        ("redfish/v1/A", None),
        ("", None),
    ],
)
def test_only_what_is_at_the_bmc_is_local(uri: str, path: str | None) -> None:
    """Another scheme, host or port is another service."""
    assert local(uri, "https://bmc") == path


def test_a_chassis_of_ours_is_not_the_bmcs() -> None:
    """One with the id of our rack PDU has another id with us; all others keep theirs."""
    paths = Paths(chassis=["pdu-a"])
    for spelled in ("pdu-a", "PDU-A"):
        path = f"{ROOT}/Chassis/{spelled}"
        assert paths.inward(path) is None
        ours = paths.outward(path)
        assert ours == f"{ROOT}/Chassis/{PREFIX}{spelled}"
        assert paths.member_id("Chassis", path) == f"{PREFIX}{spelled}"
        assert paths.inward(ours) == path
    assert paths.inward(f"{ROOT}/Chassis/pdu-b") == f"{ROOT}/Chassis/pdu-b"


@pytest.mark.parametrize("tree", ["PowerEquipment", "ThermalEquipment"])
def test_a_tree_that_we_do_not_serve_is_the_bmcs(tree: str) -> None:
    """The equipment is ours where the configuration has some, and the BMC's otherwise."""
    path = f"{ROOT}/{tree}/Things/1"
    assert Paths().inward(path) == path
    assert Paths([tree]).inward(path) is None
    assert Paths([tree]).outward(path) is None
