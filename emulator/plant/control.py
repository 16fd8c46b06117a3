"""What the plant does on its control socket (emulator.control_socket).

{"op": "ping"}                                {"ok": true}
{"op": "truth"}                               {"ok": true, "truth": {...}}
{"op": "workload", "id": ..., "start_unix_s": ..., "end_unix_s": ... | null, "baseline_w": ...,
 "peak_w": ..., "max_w": ..., "ramp_w_per_s": ...}
{"op": "workload_remove", "id": ...}
{"op": "device_stop" | "device_start", "id": ...}
{"op": "device_ignore_writes", "id": ..., "ignore": true | false}
{"op": "leak", "id": ..., "wet": true | false}
{"op": "fault", "id": ..., "fault": {"fault": "stuck", "device": ..., ...}}
{"op": "fault_clear", "id": ...}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.errors import DriverError
from emulator.faults.vocabulary import fault_of
from emulator.plant.errors import ControlError, FaultError
from emulator.plant.faults import nearest
from emulator.plant.it_load import Workload
from emulator.plant.plant import Plant

_SHOWN = 80  # characters of a name that an error repeats


def perform(plant: Plant, request: dict[str, Any]) -> dict[str, Any]:
    """Do one request; returns the answer's members besides `ok`.

    Raises ControlError with the reason.
    """
    op = request.get("op")
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise ControlError(f"op: {op!r} is none of {', '.join(_OPERATIONS)}")
    try:
        return _OPERATIONS[op](plant, request) or {}
    except FaultError as error:
        raise ControlError(str(error)) from error
    except (OSError, DriverError) as error:
        raise ControlError(f"{op}: {error}") from error


def _ping(plant: Plant, request: Mapping[str, Any]) -> None:
    del plant, request


def _truth(plant: Plant, request: Mapping[str, Any]) -> dict[str, Any]:
    del request
    return {"truth": plant.truth()}


def _workload(plant: Plant, request: Mapping[str, Any]) -> None:
    end = None if request.get("end_unix_s") is None else _number(request, "end_unix_s")
    try:
        workload = Workload(
            id=_text(request, "id"),
            start_unix_s=_number(request, "start_unix_s"),
            end_unix_s=end,
            baseline_w=_number(request, "baseline_w"),
            peak_w=_number(request, "peak_w"),
            max_w=_number(request, "max_w"),
            ramp_w_per_s=_number(request, "ramp_w_per_s"),
        )
    except ValueError as error:
        raise ControlError(str(error)) from error
    plant.announce(workload)


def _by_id(act: Callable[[Plant, str], None], kind: str) -> Callable[..., None]:
    """An operation on one identity, which says what it does not know."""

    def operation(plant: Plant, request: Mapping[str, Any]) -> None:
        identity = _text(request, "id")
        try:
            act(plant, identity)
        except KeyError:
            known = nearest(identity, plant.device_names) if kind == "device" else ""
            raise ControlError(f"id: no {kind} {identity[:_SHOWN]!r}{known}") from None

    return operation


def _ignore_writes(plant: Plant, request: Mapping[str, Any]) -> None:
    ignore = request.get("ignore")
    if not isinstance(ignore, bool):
        raise ControlError(f"ignore: true or false is wanted, not {ignore!r}")
    _by_id(lambda plant, identity: plant.ignore_writes(identity, ignore), "device")(plant, request)


def _leak(plant: Plant, request: Mapping[str, Any]) -> None:
    wet = request.get("wet")
    if not isinstance(wet, bool):
        raise ControlError(f"wet: true or false is wanted, not {wet!r}")
    _by_id(lambda plant, identity: plant.leak(identity, wet), "loop")(plant, request)


def _fault(plant: Plant, request: Mapping[str, Any]) -> None:
    plant.inject(_text(request, "id"), fault_of(request.get("fault")))


_OPERATIONS: dict[str, Callable[[Plant, Mapping[str, Any]], dict[str, Any] | None]] = {
    "ping": _ping,
    "truth": _truth,
    "workload": _workload,
    "workload_remove": _by_id(Plant.remove_workload, "workload"),
    "device_stop": _by_id(Plant.stop_device, "device"),
    "device_start": _by_id(Plant.start_device, "device"),
    "device_ignore_writes": _ignore_writes,
    "leak": _leak,
    "fault": _fault,
    "fault_clear": _by_id(Plant.clear, "fault"),
}


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise ControlError(f"{name}: a text is wanted, not {value!r}")
    return value


def _number(request: Mapping[str, Any], name: str) -> float:
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ControlError(f"{name}: a number is wanted, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ControlError(f"{name}: too large") from None
