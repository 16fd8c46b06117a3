"""What a running emulator does on its control socket (emulator.control_socket).

    {"op": "ping"}                                      {"ok": true}
    {"op": "inject", "fault": {"fault": "dead", "device": ...}, "for_s": 10 (may be left out)}
                                                        {"ok": true, "id": "1"}
    {"op": "list"}                                      {"ok": true, "faults": [{"id": "1", ...}]}
    {"op": "clear", "id": "1"}                          {"ok": true}

A fault has the members of schemas/scenario, as in a scenario file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from emulator.control_socket import ControlClient, ControlServer
from emulator.faults.injector import Injector
from emulator.faults.vocabulary import Fault, fault_of, not_finite
from emulator.plant.errors import ControlError, FaultError

_OPERATIONS = ("ping", "inject", "list", "clear")
LONGEST_S = 1e8
"""The longest that a fault may be told to last."""


@contextmanager
def controlled(injector: Injector, socket: Path) -> Iterator[None]:
    """Serve the socket meanwhile."""
    server = ControlServer(socket, functools.partial(perform, injector))
    server.start()
    try:
        yield
    finally:
        server.stop()


def perform(injector: Injector, request: dict[str, Any]) -> dict[str, Any]:
    """Do one request; returns the answer's members besides `ok`. ControlError with the reason."""
    op = request.get("op")
    if op not in _OPERATIONS:
        raise ControlError(f"op: {op!r} is none of {', '.join(_OPERATIONS)}")
    if (place := not_finite(request)) is not None:
        raise ControlError(f"{place}: not a finite number")
    try:
        if op == "inject":
            return {"id": injector.inject(fault_of(request.get("fault")), _for_s(request))}
        if op == "list":
            return {"faults": injector.active()}
        if op == "clear":
            injector.clear(str(request.get("id")))
    except FaultError as error:
        raise ControlError(str(error)) from error
    return {}


def _for_s(request: dict[str, Any]) -> float | None:
    value = request.get("for_s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_S:
        raise ControlError(f"for_s: a number of seconds above 0 is wanted, not {value!r}")
    return float(value)


class EmulatorControl(ControlClient):
    """A connection to a running emulator; see ControlClient."""

    peer: ClassVar[str] = "emulator"

    def inject(self, fault: Fault, for_s: float | None = None) -> str:
        """Let a fault begin, and end after `for_s`; its id."""
        return str(self.ask(op="inject", fault=fault.document, for_s=for_s)["id"])

    def active(self) -> list[dict[str, Any]]:
        """The active faults: id, fault, since_unix_s, and requests_left where it is counted."""
        faults: list[dict[str, Any]] = self.ask(op="list")["faults"]
        return faults

    def clear(self, fault_id: str) -> None:
        """End a fault."""
        self.ask(op="clear", id=fault_id)
