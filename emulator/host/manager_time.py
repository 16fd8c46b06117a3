"""The clock of the emulated managers: how far it is ahead of ours, and its offset from UTC."""

from __future__ import annotations

import datetime
from collections.abc import Callable, MutableMapping
from typing import Any, Final

_KEY: Final = "clock"
_NEW: Final = (0.0, "+00:00")


class ManagerTime:
    """Kept in `settings`; `now_s` is our own Unix time in s."""

    def __init__(self, settings: MutableMapping[str, Any], now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._now_s = now_s

    def now(self) -> dict[str, str]:
        """DateTime and DateTimeLocalOffset of a Manager."""
        ahead_s, offset = self._settings.get(_KEY, _NEW)
        zone = datetime.datetime.strptime(offset, "%z").tzinfo
        moment = datetime.datetime.fromtimestamp(self._now_s() + ahead_s, zone)
        return {"DateTime": moment.isoformat(timespec="seconds"), "DateTimeLocalOffset": offset}

    def set(self, body: dict[str, Any]) -> None:
        """Set it by a PATCH of a Manager, as far as that names a time."""
        ahead_s, offset = self._settings.get(_KEY, _NEW)
        if "DateTime" in body:
            moment = datetime.datetime.fromisoformat(body["DateTime"])
            ahead_s = moment.timestamp() - self._now_s()
        self._settings[_KEY] = (ahead_s, body.get("DateTimeLocalOffset", offset))
