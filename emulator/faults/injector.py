"""The one way in for a fault, whoever asks: it goes to the part where the real one would enter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bmc_ext.security.sessions import Sessions
from emulator.faults.front import FrontFaults
from emulator.faults.vocabulary import Fault
from emulator.plant.errors import FaultError, PlantError
from emulator.plant.facility import Facility
from emulator.plant.faults import check_fault


class Plant(Protocol):
    """Where faults of the plant and of its devices enter."""

    def fault(self, fault_id: str, fault: Fault) -> None:
        """Let one begin."""

    def fault_clear(self, fault_id: str) -> None:
        """End it."""


class Host(Protocol):
    """Whose power supplies can be lost; see SushyHost."""

    def check_supply(self, chassis: str | None, supply: str) -> None:
        """LookupError for one that there is not."""

    def lose_supply(self, key: str, chassis: str | None, supply: str, cause: str) -> None:
        """Let one fail."""

    def restore_supply(self, key: str) -> None:
        """Undo that."""


@dataclass(frozen=True, slots=True)
class _Active:
    fault: Fault
    since_s: float  # Unix time
    timer: threading.Timer | None


class Injector:
    """Injects, lists and clears faults; any thread. `tell` is given a line for each change.

    `sessions` are those that can be expired: the service that serves sets them.
    """

    def __init__(
        self,
        facility: Facility,
        plant: Plant,
        host: Host,
        front: FrontFaults,
        tell: Callable[[str], None],
    ) -> None:
        self.front = front
        self.sessions: Sessions | None = None
        self._facility, self._plant, self._host = facility, plant, host
        self._tell = tell
        self._lock = threading.Lock()
        self._last_id = 0
        self._active: dict[str, _Active] = {}

    def check(self, fault: Fault) -> None:
        """FaultError when it names what is not there."""
        check_fault(fault, self._facility)
        if fault.kind == "lost-supply":
            try:
                self._host.check_supply(fault.parameters.get("chassis"), fault.parameters["supply"])
            except LookupError as error:
                raise FaultError(str(error)) from error

    def inject(self, fault: Fault, for_s: float | None = None) -> str:
        """Let a fault begin, and end after `for_s`; its id. FaultError, ControlError."""
        self.check(fault)
        with self._lock:
            self._last_id += 1
            fault_id = str(self._last_id)
            self._begin(fault_id, fault)
            if fault.place == "service":  # over at once
                self._tell(f"fault: {fault}")
                return fault_id
            timer = None
            if for_s is not None:
                timer = threading.Timer(for_s, self._expire, [fault_id])
                timer.daemon = True
                timer.start()
            self._active[fault_id] = _Active(fault, time.time(), timer)
        self._tell(f"fault {fault_id} begins: {fault}")
        return fault_id

    def clear(self, fault_id: str) -> None:
        """End a fault; FaultError for one that is not active, ControlError."""
        with self._lock:
            found = self._active.get(fault_id)
            if found is None:
                raise FaultError(f"no fault {fault_id[:80]!r} is active")
            self._end(fault_id, found.fault)
            del self._active[fault_id]
        if found.timer is not None:
            found.timer.cancel()
        self._tell(f"fault {fault_id} ends: {found.fault}")

    def active(self) -> list[dict[str, Any]]:
        """Each as it is listed: a fault of the front with the requests that its count has left."""
        with self._lock:
            return [
                {
                    "id": fault_id,
                    "since_unix_s": found.since_s,
                    **self._left(fault_id, found.fault),
                    "fault": found.fault.document,
                }
                for fault_id, found in self._active.items()
            ]

    def _left(self, fault_id: str, fault: Fault) -> dict[str, int]:
        left = self.front.left(fault_id) if fault.place == "front" else None
        return {} if left is None else {"requests_left": left}

    def _begin(self, fault_id: str, fault: Fault) -> None:
        given = fault.parameters
        if fault.place == "front":
            self.front.inject(fault_id, fault)
        elif fault.place == "host":
            cause = given.get("cause", "failure")
            self._host.lose_supply(fault_id, given.get("chassis"), given["supply"], cause)
        elif fault.place == "service":
            self._expire_sessions(given.get("user"))
        else:
            self._plant.fault(fault_id, fault)

    def _end(self, fault_id: str, fault: Fault) -> None:
        if fault.place == "front":
            self.front.clear(fault_id)
        elif fault.place == "host":
            self._host.restore_supply(fault_id)
        else:
            self._plant.fault_clear(fault_id)

    def _expire_sessions(self, user: str | None) -> None:
        if self.sessions is None:
            raise FaultError("no service has begun to serve")
        users = {session.username for session in self.sessions.list()}
        for name in users if user is None else users & {user}:
            self.sessions.close_of(name)

    def _expire(self, fault_id: str) -> None:
        try:
            self.clear(fault_id)
        except PlantError as error:
            self._tell(f"fault {fault_id} does not end: {error}")
