"""What is shown to an aggregator that says not who asks: the equipment, and nothing about people.

Accounts, sessions, logs, subscriptions, tasks, updates and how the service is reached stay behind
the listener that asks who it is.
"""

from __future__ import annotations

from typing import Final

_ROOT: Final = "/redfish/v1/"
_SHOWN: Final = frozenset(
    {
        "Chassis", "Systems", "Managers", "PowerEquipment", "ThermalEquipment", "dcpi",
        "JsonSchemas", "Registries",
    }
)  # fmt: skip
_HIDDEN: Final = frozenset(
    {
        "Certificates", "EthernetInterfaces", "HostInterfaces", "LogServices", "NetworkInterfaces",
        "NetworkProtocol", "SerialInterfaces", "VirtualMedia", "Bios", "SecureBoot", ".", "..", "",
    }
)  # fmt: skip
"""Below any of the shown; an image's URI may hold credentials, and so may attributes of a BIOS."""


def is_shown(path: str) -> bool:
    """Whether the resource at `path`, in its one home, is told to everyone who asks."""
    if not path.startswith(_ROOT):
        return False
    first, *below = path[len(_ROOT) :].split("/")
    return first in _SHOWN and _HIDDEN.isdisjoint(below)
