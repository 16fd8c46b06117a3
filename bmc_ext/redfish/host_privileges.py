"""Which privilege a request to the host BMC needs, by where it goes (DSP0266 13.6).

As in DMTF's own privilege registry a change needs ConfigureComponents where it is to machines and
ConfigureManager where it is to what manages them. Paths are judged in any spelling; what is not
known is taken for the manager's.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from bmc_ext.security.identity import (
    CONFIGURE_COMPONENTS,
    CONFIGURE_MANAGER,
    CONFIGURE_USERS,
    LOGIN,
)

READING: Final = ("GET", "HEAD", "OPTIONS")
WRITES: Final = ("PATCH", "POST", "PUT", "DELETE")

_MACHINES: Final = frozenset(
    {
        "cables", "chassis", "compositionservice", "fabrics", "facilities", "networkadapters",
        "powerequipment", "storage", "storageservices", "storagesystems", "systems",
        "thermalequipment", "updateservice",
    }
)  # fmt: skip
_OF_MANAGERS: Final = frozenset(
    {"certificates", "hostinterfaces", "logservices", "serialinterfaces", "virtualmedia"}
)
_USERS: Final = frozenset({"accounts", "externalaccountproviders", "remoteaccountservice"})
"""Where some BMCs keep users beside AccountService."""


_MANAGER_TYPES: Final = frozenset(
    {
        "Certificate", "CertificateService", "HostInterface", "Job", "JobService", "License",
        "LicenseService", "LogEntry", "LogService", "Manager", "ManagerDiagnosticData",
        "ManagerNetworkProtocol", "MetricDefinition", "MetricReport", "MetricReportDefinition",
        "SecurityPolicy", "SerialInterface", "Task", "TaskService", "TelemetryService", "Triggers",
        "VirtualMedia",
    }
)  # fmt: skip


def privilege_at(method: str, path: str) -> str:
    """What a request of that method to the host's resource at `path` needs."""
    parts = path.removeprefix("/redfish/v1/").split("/")
    segments = [unquote(part).strip(". ").lower() for part in parts]
    if not _USERS.isdisjoint(segments):
        return CONFIGURE_USERS
    if method in READING:
        return LOGIN
    of_machine = segments[0] in _MACHINES and _OF_MANAGERS.isdisjoint(segments)
    return CONFIGURE_COMPONENTS if of_machine else CONFIGURE_MANAGER


def privilege_of_type(name: str) -> str:
    """What a change of the host's resources of that type needs, such as `LogService`."""
    is_managers = name.removesuffix("Collection") in _MANAGER_TYPES
    return CONFIGURE_MANAGER if is_managers else CONFIGURE_COMPONENTS
