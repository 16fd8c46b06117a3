"""The mockup of a BMC by Acme whose chassis and manager bear the ids of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mockup_bmc import write_mockup
from served_front import Served

METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
  <edmx:Reference Uri="/redfish/v1/schema/Chassis_v1.xml">
    <edmx:Include Namespace="Chassis"/><edmx:Include Namespace="Chassis.v1_4_0"/>
  </edmx:Reference>
  <edmx:Reference Uri="/redfish/v1/schema/AcmeFan_v1.xml">
    <edmx:Include Namespace="AcmeFan.v1_0_0" Alias="Acme"/>
  </edmx:Reference>
</edmx:Edmx>
"""


def links(*ids: str, of: str) -> dict[str, Any]:
    """A collection of these members."""
    found = [{"@odata.id": f"/redfish/v1/{of}/{name}"} for name in ids]
    kind = f"#{of.rpartition('/')[2].removesuffix('s')}Collection"
    return {
        "@odata.type": f"{kind}.{kind[1:]}", "Name": of, "Members": found,
        "Members@odata.count": len(found),
    }  # fmt: skip


def link(path: str) -> dict[str, str]:
    """A link to a path below the root."""
    return {"@odata.id": f"/redfish/v1/{path}"}


TREE: dict[str, dict[str, Any]] = {
    "": {
        "@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot",
        "Id": "RootService",
        "Name": "Acme",
        **{
            name: link(name)
            for name in (
                "Systems", "Chassis", "Managers", "SessionService", "AccountService",
                "EventService", "UpdateService", "Fabrics", "Registries", "JsonSchemas",
            )
        },
        "Tasks": link("TaskService"),
        "Links": {"Sessions": link("SessionService/Sessions")},
        "Oem": {"Acme": {"Fans": link("Oem/Acme/Fans")}},
    },
    "Systems": links("1", of="Systems"),
    "Systems/1": {
        "@odata.type": "#ComputerSystem.v1_5_0.ComputerSystem",
        "Id": "1",
        "Name": "Blade",
        "PowerState": "On",
        "Description": "/redfish/v1/Chassis/DCPI",
        "LogServices": link("Systems/1/LogServices"),
        "Links": {
            "Chassis": [link("Chassis/DCPI"), link("Chassis/2")],
            "ManagedBy": [link("Managers/DCPI")],
            "ManagedBy@odata.count": 1,
            "Oem": {"Users": [link("AccountService/Accounts/1")], "Users@odata.count": 1},
        },
        "Actions": {"#Slow.Action": {"target": "/redfish/v1/Systems/1/Actions/Slow.Action"}},
    },
    "Systems/1/LogServices": links("SEL", of="Systems/1/LogServices"),
    "Chassis": links("DCPI", "2", of="Chassis"),
    "Chassis/DCPI": {
        "@odata.type": "#Chassis.v1_4_0.Chassis", "Id": "DCPI", "Name": "A rack of that name",
        "ChassisType": "Rack", "Links": {"ManagedBy": [link("Managers/DCPI")]},
        "Thermal": link("Chassis/DCPI/Thermal"),
    },
    "Chassis/DCPI/Thermal": {
        "@odata.type": "#Thermal.v1_3_0.Thermal", "Id": "Thermal", "Name": "Theirs",
    },
    "Chassis/2": {
        "@odata.type": "#Chassis.v1_4_0.Chassis", "Id": "2", "Name": "Sled", "ChassisType": "Sled",
        "AssetTag": "",
    },
    "Managers": links("DCPI", of="Managers"),
    "Managers/DCPI": {
        "@odata.type": "#Manager.v1_5_0.Manager", "Id": "DCPI", "Name": "Their BMC",
        "EthernetInterfaces": link("Managers/DCPI/EthernetInterfaces"),
    },
    "Managers/DCPI/EthernetInterfaces": links("e0", of="Managers/DCPI/EthernetInterfaces"),
    "SessionService/Sessions": links("s", of="SessionService/Sessions"),
    "AccountService": {"Id": "AccountService", "Name": "Theirs"},
    "AccountService/Accounts/1": {"Id": "1", "UserName": "theirs"},
    "EventService": {
        "Id": "EventService", "Name": "E", "ServiceEnabled": True,
        "ServerSentEventUri": "/redfish/v1/EventService/SSE",
    },
    "UpdateService": {
        "@odata.type": "#UpdateService.v1_2_0.UpdateService", "Id": "UpdateService",
        "Name": "Their updates", "FirmwareInventory": link("UpdateService/FirmwareInventory"),
        "HttpPushUri": "/redfish/v1/UpdateService/push",
    },
    "UpdateService/FirmwareInventory": links("BMC", of="UpdateService/FirmwareInventory"),
    "UpdateService/FirmwareInventory/BMC": {
        "@odata.type": "#SoftwareInventory.v1_2_0.SoftwareInventory", "Id": "BMC", "Name": "Fw",
    },
    "TaskService": {"Id": "TaskService", "Name": "T", "Tasks": link("TaskService/Tasks")},
    "TaskService/Tasks": links("1", of="TaskService/Tasks"),
    "TaskService/Tasks/1": {
        "@odata.type": "#Task.v1_4_0.Task", "Id": "1", "Name": "Theirs", "TaskState": "Running",
        "TaskMonitor": "/redfish/v1/TaskService/Tasks/1/Monitor",
    },
    "TaskService/Tasks/1/Monitor": {"Id": "1"},
    "Fabrics": links(of="Fabrics"),
    "Registries": links("Base", "Acme", of="Registries"),
    "Registries/Base": {"Id": "Base", "Name": "Base of theirs", "Registry": "Base.1.0"},
    "Registries/Acme": {"Id": "Acme", "Name": "Acme", "Registry": "Acme.1.0"},
    "JsonSchemas": links("AcmeFan.v1_0_0", of="JsonSchemas"),
    "JsonSchemas/AcmeFan.v1_0_0": {"Id": "AcmeFan.v1_0_0", "Name": "Fan"},
    "Oem/Acme/Fans": {"@odata.type": "#AcmeFan.v1_0_0.AcmeFan", "Id": "Fans", "Name": "Fans"},
}  # fmt: skip


def write_tree(folder: Path) -> None:
    """The mockup of a BMC whose chassis and manager bear the ids of ours."""
    write_mockup(folder, TREE)
    (folder / "redfish/v1/$metadata").mkdir()
    (folder / "redfish/v1/$metadata/index.xml").write_text(METADATA, encoding="utf-8")
    (folder / "redfish/v1/schema/AcmeFan_v1.xml").mkdir(parents=True)
    (folder / "redfish/v1/schema/AcmeFan_v1.xml/index.xml").write_text("<fan/>", encoding="utf-8")


def is_known(front: Served) -> bool:
    """Whether the sidecar has seen what the BMC has."""
    return front.ask("GET", "/redfish/v1/Systems/1").status == 200
