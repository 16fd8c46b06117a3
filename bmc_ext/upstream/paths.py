"""Which URI of ours is which of the upstream BMC's: one to one, and the same after a restart.

Where both have a member of that id, or may have one, theirs is `Upstream_<id>`. What is ours alone
(accounts, sessions, subscriptions, certificates, the DCPI tree) leads nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from bmc_ext.redfish import dcpi_messages
from bmc_ext.redfish.host import PREFIX
from bmc_ext.redfish.metadata import own_schemas
from bmc_ext.redfish.resources.collections import OWN_ID
from bmc_ext.redfish.resources.message_registry_file import NAMES as REGISTRIES

ROOT: Final = "/redfish/v1"

_OWN: Final = frozenset({OWN_ID.lower()})
_ANY: Final = None  # ids come and go on both sides

MERGED: Final[Mapping[str, frozenset[str] | None]] = {
    "Systems": frozenset(),
    "Chassis": _OWN,
    "Managers": _OWN,
    "Registries": frozenset(name.lower() for name in REGISTRIES),
    "registries": frozenset({dcpi_messages.FILE.lower()}),
    "schema": frozenset(name.lower() for name in own_schemas()),
    "UpdateService/FirmwareInventory": _OWN,
    "TaskService/Tasks": _ANY,
    "TaskService/TaskMonitors": _ANY,
    "TelemetryService/MetricDefinitions": _ANY,
    "TelemetryService/MetricReportDefinitions": _ANY,
    "TelemetryService/MetricReports": _ANY,
    "TelemetryService/Triggers": _ANY,
}
"""Places with members of both; of each the ids (in lower case) that are ours, where fixed."""

_OURS: Final = frozenset(
    {
        "accountservice", "certificateservice", "dcpi", "eventservice", "odata", "sessions",
        "sessionservice", "taskservice", "telemetryservice", "$metadata",
    }
)  # fmt: skip
"""First segments under which only the members of MERGED are ever the upstream BMC's."""

_NOWHERE: Final = frozenset({"Sessions", "registries", "schema"})
"""Single segments that lead to nothing with us."""

_FIRST: Final = frozenset(place.partition("/")[0] for place in MERGED)
_FIRST_LOWER: Final = frozenset(name.lower() for name in _FIRST)
_PLAIN = re.compile(r"[!$&'()*+,=:@A-Za-z0-9._~ #-]+")


class Paths:
    """The mapping both ways.

    `trees` are first segments that are ours beside those of always, `chassis` ids of chassis.
    """

    def __init__(self, trees: Iterable[str] = (), chassis: Iterable[str] = ()) -> None:
        self._ours = _OURS | {tree.lower() for tree in trees}
        own = _OWN | {name.lower() for name in chassis}
        self._merged: Mapping[str, frozenset[str] | None] = {**MERGED, "Chassis": own}

    def inward(self, path: str) -> str | None:
        """The upstream BMC's path of one of ours, which is normalised; None for what it has not."""
        segments = _segments(path)
        if segments is None or self._is_hidden(segments):
            return None
        place = _place(segments)
        if place is None:
            return path
        number = place.count("/") + 1
        if len(segments) == number:
            return None  # the collection is ours, with its members
        prefixed = _theirs(unquote(segments[number]), self._merged[place])
        if prefixed is None:
            return None
        if prefixed:
            segments[number] = segments[number][len(PREFIX) :]
        return "/".join((ROOT, *segments))

    def outward(self, path: str) -> str | None:
        """Our path of one of the upstream BMC's; None for what cannot be reached through us."""
        segments = path.removeprefix(ROOT).strip("/").split("/")
        if len(segments) == 1 and segments[0] in _NOWHERE:
            return None
        place = _place(segments)
        if place is None:
            return None if len(segments) > 1 and segments[0].lower() in self._ours else path
        number = place.count("/") + 1
        if len(segments) > number and _is_prefixed(unquote(segments[number]), self._merged[place]):
            segments[number] = PREFIX + segments[number]
        return "/".join((ROOT, *segments))

    def member_id(self, collection: str, uri: str) -> str | None:
        """The id with us of a member of its collection; None for another link."""
        parent, _, name = uri.rstrip("/").rpartition("/")
        if parent != f"{ROOT}/{collection}" or not _PLAIN.fullmatch(unquote(name)):
            return None
        own = self._merged.get(collection, frozenset())
        return PREFIX + name if _is_prefixed(unquote(name), own) else name

    def _is_hidden(self, segments: Sequence[str]) -> bool:
        """Whether it is ours alone, however it is spelled; merged places have one spelling."""
        names = [unquote(segment).strip(". ").lower() for segment in segments]
        if names[0] == "oem" and names[1:2] == ["dcpi"]:
            return True
        if names[0] in self._ours and _place(segments) is None:
            return True
        return names[0] in _FIRST_LOWER and segments[0] not in _FIRST


def local(uri: str, origin: str) -> str | None:
    """The path, query and fragment of a URI at the upstream BMC; None for one that is elsewhere."""
    try:
        parts, known = urlsplit(uri), urlsplit(origin)
        if parts.netloc and _authority(parts) != _authority(known):
            return None
    except ValueError:
        return None
    if parts.path != ROOT and not parts.path.startswith(f"{ROOT}/"):
        return None
    return parts._replace(scheme="", netloc="").geturl()


def _authority(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or 443


def _segments(path: str) -> list[str] | None:
    """The segments below the root; None where another server might read them in another way."""
    if not path.startswith(f"{ROOT}/"):
        return None
    segments = path[len(ROOT) + 1 :].split("/")
    for segment in segments:
        plain = unquote(segment)
        if not _PLAIN.fullmatch(plain) or not plain.strip(". "):
            return None
    return segments


def _place(segments: Sequence[str]) -> str | None:
    """The merged collection that a path leads to or through."""
    for number in (1, 2):
        place = "/".join(segments[:number])
        if place in MERGED:
            return place
    return None


def _theirs(name: str, own: frozenset[str] | None) -> bool | None:
    """Whether a member's id bears the prefix; None for an id that is ours or nobody's."""
    if name.startswith(PREFIX):
        rest = name[len(PREFIX) :]
        return True if rest.strip(". ") and _is_prefixed(rest, own) else None
    return None if _is_prefixed(name, own) else False


def _is_prefixed(name: str, own: frozenset[str] | None) -> bool:
    return own is None or name.strip(". ").lower() in own or name.startswith(PREFIX)
