"""The table of what the clients are used for is whole, and true of what the service has not got."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from clients.conftest import SYSTEM, Clients

HERE = Path(__file__).parent
TABLE: dict[str, Any] = yaml.safe_load((HERE / "served.yaml").read_text(encoding="utf-8"))

_REDFISHTOOL = ("Systems", "Chassis", "Managers", "AccountService", "SessionService")


def _rows(client: str) -> set[str]:
    """All rows of a client: its programs with their subcommands, or without where it has none."""
    served = TABLE[client]["served"]
    rows = {
        f"{name} {sub}" if sub else name for name, subs in served.items() for sub in subs or [""]
    }
    assert rows.isdisjoint(TABLE[client]["absent"])
    return rows | set(TABLE[client]["absent"])


def _known(names: set[str], client: str) -> set[str]:
    """A program whose row is the whole program stands for all its subcommands."""
    whole = set(TABLE[client]["absent"]) & {name.partition(" ")[0] for name in names}
    return {
        name if name.partition(" ")[0] not in whole else name.partition(" ")[0] for name in names
    }


def test_every_script_of_redfish_utilities_has_its_row(clients: Clients) -> None:
    """The scripts that are installed, with the subcommands that their parsers know."""
    found = set()
    for script, text in clients.installed("rf_*.py").items():
        subs = re.findall(r"\.add_parser\(\s*\"(\w+)\"", text) or [""]
        found |= {f"{script} {sub}".strip() for sub in subs}
    assert _known(found, "redfish_utilities") == _rows("redfish_utilities")


def test_every_operation_of_redfishtool_has_its_row(clients: Clients) -> None:
    """The subcommands with the operations that their help lists."""
    found = {"about", "metadata", "odata", "root", "versions"}
    for sub in _REDFISHTOOL:
        text = clients.run("redfishtool", sub, "-h").partition("<operations>:")[2]
        names = set(re.findall(r"^ {5,7}\[?([A-Za-z]+)\b.*--", text, re.MULTILINE))
        found |= {f"{sub} {name}" for name in names - {"examples", "hello"}}
    text = clients.run("redfishtool", "raw", "-h", fails=True)
    found |= {f"raw {name}" for name in re.findall(r"^ +([A-Z]+) +-- HTTP", text, re.MULTILINE)}
    assert found == _rows("redfishtool")


def test_every_command_of_ansibles_modules_has_its_row(clients: Clients) -> None:
    """The commands that each module names by category."""
    found = set()
    for module in ("redfish_info", "redfish_command", "redfish_config"):
        name = f"ansible_collections.community.general.plugins.modules.{module}"
        code = f"import json, {name} as m; print(json.dumps(m.CATEGORY_COMMANDS_ALL))"
        listed = json.loads(clients.run("python", "-c", code))
        found |= {f"{module} {kind} {name}" for kind, names in listed.items() for name in names}
    assert found == _rows("ansible")


@pytest.mark.parametrize("client", sorted(TABLE))
def test_what_is_called_served_is_run_by_a_test(client: str) -> None:
    """Each program of the table and each of its subcommands stands in a test of this folder."""
    files = {"redfish_utilities": "test_redfish_utilities.py", "redfishtool": "test_redfishtool.py",
             "ansible": "test_ansible.py"}  # fmt: skip
    text = (HERE / files[client]).read_text(encoding="utf-8")
    words = set(re.findall(r'"([\w.]+)"', text)) | set(re.findall(r"\b([A-Z]\w+)\b", text))
    served = TABLE[client]["served"]
    wanted = {sub for subs in served.values() for sub in subs}
    wanted |= {name.rpartition(" ")[2] for name in served}
    assert wanted - {"collection", "get"} <= words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rf_assembly", "-a", "/redfish/v1/Chassis/DCPI/Assembly", "info"), "HTTP 404"),
        (("rf_certificates", "delete", "-cert",
          "/redfish/v1/Managers/DCPI/NetworkProtocol/HTTPS/Certificates/1"), "HTTP 405"),
        (("rf_component_integrity", "list"), "does not contain"),
        (("rf_diagnostic_data", "--manager", "DCPI", "--log", "EventLog"), "does not support"),
        (("rf_licenses", "info"), "does not contain a license service"),
        (("rf_manager_config", "-m", "DCPI", "resettodefaults", "--type", "ResetAll"),
         "does not support the ResetToDefaults"),
        (("rf_manager_config", "-m", "DCPI", "setprotocol", "-prot", "HTTPS", "-dis"),
         "PropertyNotWritable"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_the_service_has_not_got_is_said(
    clients: Clients, words: tuple[str, ...], says: str
) -> None:
    """A script whose subject is absent says so, and nothing changes."""
    program, *arguments = words
    assert says in clients.utility(program, *arguments, fails=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-I", SYSTEM, "Systems", "Processors"), "does not have a Processors link"),
        (("-I", SYSTEM, "Systems", "SimpleStorage"), "does not have a SimpleStorage link"),
        (("-I", SYSTEM, "Systems", "Logs"), "does not have a LogServices link"),
        (("-I", "DCPI", "Chassis", "Logs"), "does not have a LogServices link"),
        (("-I", "DCPI", "Managers", "SerialInterfaces"), "does not have a SerialInterfaces link"),
        (("-I", "DCPI", "Managers", "clearLog", "EventLog"), "NOT IMPLEMENTED"),
        (("-I", SYSTEM, "Systems", "clearLog", "EventLog"), "Invalid operation"),
        (("AccountService", "setusername", "root", "toor"), "400"),
    ],
    ids=lambda value: " ".join(value[-3:]) if isinstance(value, tuple) else "",
)
def test_redfishtool_says_what_is_absent(
    clients: Clients, words: tuple[str, ...], says: str
) -> None:
    """It names the link that is not there."""
    assert says in clients.tool_says(*words, fails=True)
