"""The one way in for a fault, whoever asks: it goes to the part where the real one would enter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
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


@dataclass(slots=True)
class Target:
    """One BMC as faults reach it; `sessions` is set by the service that serves it."""

    host: Host
    front: FrontFaults
    sessions: Sessions | None = None


@dataclass(frozen=True, slots=True)
class _Active:
    fault: Fault
    since_s: float  # Unix time
    timer: threading.Timer | None


class Injector:
    """Injects, lists and clears faults; any thread. `tell` is given a line for each change.

    A fault of host, front or service hits the target of its `bmc`, counted from 1, or each target
    without one; the plant is one for all.
    """

    def __init__(
        self,
        facility: Facility,
        plant: Plant,
        targets: Sequence[Target],
        tell: Callable[[str], None],
    ) -> None:
        self._facility, self._plant, self._targets = facility, plant, targets
        self._tell = tell
        self._lock = threading.Lock()
        self._last_id = 0
        self._active: dict[str, _Active] = {}

    def check(self, fault: Fault) -> None:
        """FaultError when it names what is not there."""
        check_fault(fault, self._facility)
        targets = self._hit(fault)
        if fault.kind == "lost-supply":
            chassis, supply = fault.parameters.get("chassis"), fault.parameters["supply"]
            for number, target in targets.items():
                try:
                    target.host.check_supply(chassis, supply)
                except LookupError as error:
                    whose = f"BMC {number}: " if len(self._targets) > 1 else ""
                    raise FaultError(f"{whose}{error}") from error

    def _hit(self, fault: Fault) -> dict[int, Target]:
        """The BMCs that a fault of theirs hits, by number; FaultError for one that is not there."""
        known = dict(enumerate(self._targets, 1))
        number = fault.parameters.get("bmc")
        if number is None:
            return known
        if number not in known:
            there = "there is BMC 1" if len(known) == 1 else f"there are BMCs 1 to {len(known)}"
            raise FaultError(f"bmc: no BMC {number} ({there})")
        return {number: known[number]}

    def inject(self, fault: Fault, for_s: float | None = None) -> str:
        """Let a fault begin, and end after `for_s`; its id. FaultError, ControlError."""
        self.check(fault)
        if fault.place == "service" and for_s is not None:
            raise FaultError(f"{fault.kind} is over at once: there is nothing to end later")
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
        if fault.place != "front" or "count" not in fault.parameters:
            return {}
        left = (target.front.left(fault_id) for target in self._hit(fault).values())
        return {"requests_left": sum(count or 0 for count in left)}

    def _begin(self, fault_id: str, fault: Fault) -> None:
        given, targets = fault.parameters, self._hit(fault)
        if fault.place == "front":
            for target in targets.values():
                target.front.inject(fault_id, fault)
        elif fault.place == "host":
            supply, cause = given["supply"], given.get("cause", "failure")
            for target in targets.values():
                target.host.lose_supply(fault_id, given.get("chassis"), supply, cause)
        elif fault.place == "service":
            _expire_sessions(targets, given.get("user"))
        else:
            self._plant.fault(fault_id, fault)

    def _end(self, fault_id: str, fault: Fault) -> None:
        if fault.place == "front":
            for target in self._hit(fault).values():
                target.front.clear(fault_id)
        elif fault.place == "host":
            for target in self._hit(fault).values():
                target.host.restore_supply(fault_id)
        else:
            self._plant.fault_clear(fault_id)

    def _expire(self, fault_id: str) -> None:
        try:
            self.clear(fault_id)
        except PlantError as error:
            self._tell(f"fault {fault_id} does not end: {error}")


def _expire_sessions(targets: Mapping[int, Target], user: str | None) -> None:
    for number, target in targets.items():
        if target.sessions is None:
            raise FaultError(f"BMC {number} has not begun to serve")
    for target in targets.values():
        assert target.sessions is not None
        users = {session.username for session in target.sessions.list()}
        for name in users if user is None else users & {user}:
            target.sessions.close_of(name)
