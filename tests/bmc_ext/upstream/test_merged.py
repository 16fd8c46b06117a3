"""Two trees as one: members, links, ids that both have, schemas, tasks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from acme_mockup import is_known
from mockup_bmc import MockupBmc
from served_front import Served, served, wait_for
from upstream_bmcs import sidecar_config

from bmc_ext.errors import ConfigurationError
from bmc_ext.rack_pdu import rack_pdu
from bmc_ext.service import Service

ROOT = "/redfish/v1"


def members(front: Served, path: str) -> list[str]:
    """Links of a collection's members, below the collection."""
    body = front.ask("GET", f"{ROOT}/{path}").body
    assert body["Members@odata.count"] == len(body["Members"])
    return [link["@odata.id"].removeprefix(f"{ROOT}/{path}/") for link in body["Members"]]


def test_the_root_leads_to_both(front: Served) -> None:
    """What only the BMC has stands beside ours, its Oem too; what both have is ours."""
    body = front.ask("GET", f"{ROOT}/", user=None).body
    assert body["Fabrics"] == {"@odata.id": f"{ROOT}/Fabrics"}
    assert body["Systems"] == {"@odata.id": f"{ROOT}/Systems"}
    assert set(body["Oem"]) == {"Acme", "DCPI"}
    assert body["Vendor"] == "dcpi-bmc"
    assert front.ask("GET", body["Oem"]["Acme"]["Fans"]["@odata.id"]).body["Name"] == "Fans"
    names = {entry["name"] for entry in front.ask("GET", f"{ROOT}/odata").body["value"]}
    assert {"Fabrics", "Systems", "Chassis"} <= names


@pytest.mark.parametrize(
    ("collection", "expected"),
    [
        ("Systems", ["1"]),
        ("Chassis", ["Upstream_DCPI", "2", "DCPI"]),
        ("Managers", ["Upstream_DCPI", "DCPI"]),
        ("UpdateService/FirmwareInventory", ["BMC", "DCPI"]),
        ("TaskService/Tasks", ["Upstream_1"]),
    ],
)
def test_collections_have_the_members_of_both(
    front: Served, collection: str, expected: list[str]
) -> None:
    """The BMC's members come first, those with an id of ours under another, each once."""
    assert members(front, collection) == expected
    for name in expected:
        answer = front.ask("GET", f"{ROOT}/{collection}/{name}")
        assert answer.status == 200
        assert answer.body["@odata.id"] == f"{ROOT}/{collection}/{name}"
        assert answer.body["Id"] == name


def test_chassis_of_rack_pdus_are_ours(bmc: MockupBmc, tmp_path: Path) -> None:
    """They are served, also where the BMC has a chassis of that id, which has another with us."""
    config = sidecar_config(tmp_path, bmc.url, ca=bmc.ca)
    pdus = tuple(
        rack_pdu({"id": name, "branches": [{"id": "A"}], "outlets": [{"id": "1", "branch": "A"}]})
        for name in ("2", "pdu-a")
    )
    with served(tmp_path, config=dataclasses.replace(config, rack_pdus=pdus)) as front:
        wait_for(lambda: is_known(front), 20, "known")
        assert members(front, "Chassis") == ["Upstream_DCPI", "Upstream_2", "DCPI", "2", "pdu-a"]
        for name, kind in (("2", "PowerStrip"), ("pdu-a", "PowerStrip"), ("Upstream_2", None)):
            answer = front.ask("GET", f"{ROOT}/Chassis/{name}")
            assert answer.status == 200, name
            assert kind in (None, answer.body["ChassisType"]), name
        assert front.ask("GET", f"{ROOT}/Chassis/Upstream_2").body["Id"] == "Upstream_2"


@pytest.mark.parametrize("name", ["Upstream_DCPI", "upstream_2"])
def test_a_rack_pdu_is_not_named_like_the_bmcs(bmc: MockupBmc, tmp_path: Path, name: str) -> None:
    """An id that a chassis of the BMC may have with us is an error that names it."""
    config = sidecar_config(tmp_path, bmc.url, ca=bmc.ca)
    pdu = rack_pdu({"id": name, "branches": [{"id": "A"}], "outlets": [{"id": "1", "branch": "A"}]})
    with pytest.raises(ConfigurationError, match=f"rack_pdus: the id '{name}' begins with"):
        Service(dataclasses.replace(config, rack_pdus=(pdu,)))
    alone = dataclasses.replace(config, rack_pdus=(pdu,), upstream=None)
    with served(tmp_path, config=alone) as front:
        assert front.ask("GET", f"{ROOT}/Chassis/{name}").status == 200


@pytest.mark.parametrize("kind", ["MetricReportDefinitions", "Triggers"])
def test_nothing_of_ours_is_named_like_the_bmcs(front: Served, kind: str) -> None:
    """A client's id with that prefix is refused: nobody could find or delete what bears it."""
    answer = front.ask("POST", f"{ROOT}/TelemetryService/{kind}", {"Id": "Upstream_x"})
    assert answer.status == 400
    (detail,) = answer.body["error"]["@Message.ExtendedInfo"]
    assert detail["RelatedProperties"] == ["#/Id"]
    assert "Upstream_x" not in members(front, f"TelemetryService/{kind}")


def test_ids_that_both_have_lead_to_two_resources(front: Served) -> None:
    """Chassis/DCPI is ours, Chassis/Upstream_DCPI theirs, with all below and all links to it."""
    assert front.ask("GET", f"{ROOT}/Chassis/DCPI").body["Name"] == "Site"
    theirs = front.ask("GET", f"{ROOT}/Chassis/Upstream_DCPI").body
    assert theirs["Name"] == "A rack of that name"
    thermal = front.ask("GET", theirs["Thermal"]["@odata.id"]).body
    assert (thermal["Name"], thermal["Id"]) == ("Theirs", "Thermal")
    (manager,) = theirs["Links"]["ManagedBy"]
    assert front.ask("GET", manager["@odata.id"]).body["Name"] == "Their BMC"
    interfaces = f"{ROOT}/Managers/Upstream_DCPI/EthernetInterfaces"
    assert front.ask("GET", interfaces).body["Members"] == [{"@odata.id": f"{interfaces}/e0"}]


def test_links_lead_where_they_led_and_text_stays(front: Served) -> None:
    """Links into what is ours alone are dropped with their count; no text is taken for a link."""
    body = front.ask("GET", f"{ROOT}/Systems/1").body
    assert body["Links"]["Chassis"] == [
        {"@odata.id": f"{ROOT}/Chassis/Upstream_DCPI"}, {"@odata.id": f"{ROOT}/Chassis/2"},
    ]  # fmt: skip
    assert body["Links"]["Oem"] == {"Users": [], "Users@odata.count": 0}
    assert body["Description"] == "/redfish/v1/Chassis/DCPI"


def test_a_link_in_a_request_is_the_bmcs_there(front: Served, bmc: MockupBmc) -> None:
    """What a client names by our URI reaches the BMC by its own; what is ours alone is refused."""
    chassis = f"{ROOT}/Chassis/2"
    given: dict[str, Any] = {
        "Links": {"ManagedBy": [{"@odata.id": f"{ROOT}/Managers/Upstream_DCPI"}]}
    }
    answer = front.ask("PATCH", chassis, given)
    assert answer.status == 200
    assert answer.body["Links"] == given["Links"]
    assert bmc.body(chassis)["Links"] == {"ManagedBy": [{"@odata.id": f"{ROOT}/Managers/DCPI"}]}
    before = len(bmc.asked("PATCH"))
    given["Links"]["ManagedBy"] = [{"@odata.id": f"{ROOT}/Managers/DCPI"}]
    refused = front.ask("PATCH", chassis, given)
    assert refused.status == 400
    (detail,) = refused.body["error"]["@Message.ExtendedInfo"]
    assert detail["RelatedProperties"] == ["#/Links/ManagedBy/0/@odata.id"]
    assert len(bmc.asked("PATCH")) == before


def test_a_task_of_the_bmc_is_followed_through_us(front: Served) -> None:
    """202 with an absolute Location at the BMC becomes one at ours that answers."""
    answer = front.ask("POST", f"{ROOT}/Systems/1/Actions/Slow.Action", {})
    assert answer.status == 202
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["location"] == f"{ROOT}/TaskService/Tasks/Upstream_1/Monitor"
    assert answer.body["@odata.id"] == f"{ROOT}/TaskService/Tasks/Upstream_1"
    assert front.ask("GET", answer.headers["location"]).status == 200
    task = front.ask("GET", answer.body["@odata.id"]).body
    assert task["TaskMonitor"] == answer.headers["location"]


def test_a_location_at_another_host_is_not_handed_on(front: Served) -> None:
    """Nobody is sent to where the BMC is not."""
    answer = front.ask("POST", f"{ROOT}/Systems/1/Actions/Elsewhere.Action", {})
    assert answer.status == 202
    assert "location" not in answer.headers


def test_schemas_and_registries_of_both_are_found(front: Served) -> None:
    """$metadata names the BMC's types beside ours; its own schema files answer through us."""
    document = front.ask("GET", f"{ROOT}/$metadata", user=None).body.decode()
    assert 'Namespace="Chassis.v1_4_0"' in document
    assert 'Namespace="Chassis.v1_28_0"' in document
    assert document.count('"http://redfish.dmtf.org/schemas/v1/Chassis_v1.xml"') == 1
    assert 'Uri="/redfish/v1/schema/AcmeFan_v1.xml"' in document
    assert front.ask("GET", f"{ROOT}/schema/AcmeFan_v1.xml").body == b"<fan/>"
    assert front.ask("GET", f"{ROOT}/schema/DcpiGridStatus_v1.xml").status == 200
    assert {"Base", "Acme", "Upstream_Base"} <= set(members(front, "Registries"))
    assert front.ask("GET", f"{ROOT}/Registries/Upstream_Base").body["Registry"] == "Base.1.0"
    assert "AcmeFan.v1_0_0" in members(front, "JsonSchemas")
    assert front.ask("GET", f"{ROOT}/JsonSchemas/AcmeFan.v1_0_0").body["Name"] == "Fan"
    assert len(members(front, "JsonSchemas")) == len(set(members(front, "JsonSchemas")))


def test_a_type_that_was_seen_has_its_schema(front: Served) -> None:
    """The Link of any body of the BMC leads to a schema file that we list."""
    link = front.ask("GET", f"{ROOT}/Systems/1").headers["link"]
    uri = link.partition(">")[0].lstrip("<")
    assert uri.endswith("/ComputerSystem.v1_5_0")
    assert front.ask("GET", uri).status == 200
    entities = front.ask("GET", f"{ROOT}/AccountService/PrivilegeMap").body["Mappings"]
    assert "ComputerSystem" in {mapping["Entity"] for mapping in entities}


def test_the_update_service_is_the_bmcs(front: Served) -> None:
    """Where the BMC takes firmware, UpdateService is its own, and its inventory names ours too."""
    assert front.ask("GET", f"{ROOT}/UpdateService").body["Name"] == "Their updates"


def test_expand_gathers_both(front: Served) -> None:
    """Queries are answered here, of both trees."""
    body = front.ask("GET", f"{ROOT}/Chassis?$expand=.&$select=Name").body
    assert [member["Name"] for member in body["Members"]] == ["A rack of that name", "Sled", "Site"]
    only = front.ask("GET", f"{ROOT}/Systems?only").body
    assert only["Name"] == "Blade"
    root = front.ask("GET", f"{ROOT}/?$expand=.($levels=2)").body
    assert root["Systems"]["Members"][0]["Name"] == "Blade"


def test_new_members_appear_and_lost_ones_go(front: Served, bmc: MockupBmc) -> None:
    """The collection follows what the BMC has."""
    file = bmc.folder / "redfish/v1/Systems/index.json"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace('"/redfish/v1/Systems/1"', '"/redfish/v1/Systems/9"'))
    wait_for(lambda: members(front, "Systems") == ["9"], 20, "the new member is there")
    file.write_text(before, encoding="utf-8")
    wait_for(lambda: members(front, "Systems") == ["1"], 20, "the old one is back")
