"""Bodies of the upstream BMC with its links as ours, and clients' bodies with ours as its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from bmc_ext.redfish.host import HostError
from bmc_ext.upstream.paths import Paths, local

_NAMES: Final = frozenset(
    {
        "@odata.id", "@Redfish.ActionInfo", "MetricProperties", "MetricProperty", "TaskMonitor",
        "Targets", "target",
    }
)  # fmt: skip
_ENDINGS: Final = ("Uri", "URI", "nextLink")
_DROPPED: Final = object()

Change = Callable[[str, str], str | None]
"""A link in its new form, given it and the JSON Pointer to it; None drops it."""


class Links:
    """Translates links by `paths`; `origin` is the upstream BMC's scheme and authority."""

    def __init__(self, paths: Paths, origin: str) -> None:
        self._paths = paths
        self._origin = origin

    def outward(self, uri: str) -> str | None:
        """One link of the upstream BMC as ours; None for what cannot be reached through us.

        A link to elsewhere stays.
        """
        known = local(uri, self._origin)
        if known is None:
            return uri
        return _with_path(known, self._paths.outward)

    def inward(self, uri: str) -> str | None:
        """One link of ours as the upstream BMC's; None for what is ours alone."""
        return _with_path(uri, self._paths.inward)

    def body(self, body: dict[str, Any], asked: str, path: str) -> dict[str, Any]:
        """The upstream BMC's answer about `asked`, which with us is at `path`."""
        moved = _changed(body, "", lambda uri, _: self.outward(uri))
        if moved is _DROPPED:
            moved = {}
        known, shown = asked.rpartition("/")[2], path.rpartition("/")[2]
        if known != shown and moved.get("Id") == known:
            moved["Id"] = shown
        if "@odata.id" in body and "@odata.id" not in moved:
            moved["@odata.id"] = path
        result: dict[str, Any] = moved
        return result

    def request(self, body: Any) -> Any:
        """A client's body as the upstream BMC is to read it.

        HostError 400 names a link to a resource that is ours alone.
        """

        def change(uri: str, pointer: str) -> str:
            moved = self.inward(uri) if local(uri, "") is not None else uri
            if moved is None:
                text = f"{uri[:64]} is no resource of the BMC behind this service"
                raise HostError(400, text, pointer)
            return moved

        return _changed(body, "", change)


def _with_path(uri: str, change: Callable[[str], str | None]) -> str | None:
    path = urlsplit(uri).path
    moved = change(path)
    return None if moved is None else moved + uri[len(path) :]


def _changed(value: Any, pointer: str, change: Change) -> Any:
    if isinstance(value, list):
        found = (
            _changed(entry, f"{pointer}/{number}", change) for number, entry in enumerate(value)
        )
        return [entry for entry in found if entry is not _DROPPED]
    return _object(value, pointer, change) if isinstance(value, dict) else value


def _object(value: dict[str, Any], pointer: str, change: Change) -> Any:
    """An object with its links changed; one whose own link is dropped is dropped as a whole."""
    result: dict[str, Any] = {}
    for name, member in value.items():
        moved = _member(name, member, f"{pointer}/{name}", change)
        if moved is not _DROPPED:
            result[name] = moved
        elif name == "@odata.id":
            return _DROPPED
    for name, member in value.items():
        count = f"{name}@odata.count"
        if isinstance(member, list) and count in result and len(member) != len(result[name]):
            result[count] = len(result[name])
    return result


def _member(name: str, member: Any, pointer: str, change: Change) -> Any:
    if name not in _NAMES and not name.endswith(_ENDINGS):
        return _changed(member, pointer, change)
    if isinstance(member, str):
        moved = change(member, pointer)
        return _DROPPED if moved is None else moved
    if isinstance(member, list):
        moves = [change(entry, pointer) if isinstance(entry, str) else entry for entry in member]
        if not any(isinstance(entry, (dict, list)) for entry in moves):
            return [entry for entry in moves if entry is not None]
    return _changed(member, pointer, change)
