"""A client of the plant's control socket, for the emulator and for tests."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from emulator.faults.vocabulary import Fault
from emulator.plant.errors import ControlError


class PlantControl:
    """A connection to a running plant; may be shared by threads.

    Every method raises ControlError with the plant's reason, or when it does not answer in time.
    The next request after an error goes over a new connection: an answer that comes late can never
    be taken for another's.
    """

    def __init__(self, path: str | Path, *, timeout_s: float = 5.0) -> None:
        self._path = str(path)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._stream: io.BufferedRWPair | None = self._connect()

    def __enter__(self) -> PlantControl:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._hang_up()

    def ping(self) -> None:
        """Return when the plant answers."""
        self._ask(op="ping")

    def truth(self) -> dict[str, Any]:
        """What perfect instruments would show now: feeds, loops, silicon, battery, workloads."""
        truth: dict[str, Any] = self._ask(op="truth")["truth"]
        return truth

    def workload(
        self,
        workload_id: str,
        *,
        start_unix_s: float,
        end_unix_s: float | None,
        baseline_w: float,
        peak_w: float,
        max_w: float,
        ramp_w_per_s: float,
    ) -> None:
        """Announce a workload to the halls, or change a known one; powers in W, Unix seconds."""
        self._ask(
            op="workload",
            id=workload_id,
            start_unix_s=start_unix_s,
            end_unix_s=end_unix_s,
            baseline_w=baseline_w,
            peak_w=peak_w,
            max_w=max_w,
            ramp_w_per_s=ramp_w_per_s,
        )

    def workload_remove(self, workload_id: str) -> None:
        """End a workload now."""
        self._ask(op="workload_remove", id=workload_id)

    def device_stop(self, device_id: str) -> None:
        """Make a device, a gateway (`hall_1_gateway`) or a feed's stream (`hall_1`) unreachable."""
        self._ask(op="device_stop", id=device_id)

    def device_start(self, device_id: str) -> None:
        """Undo `device_stop`."""
        self._ask(op="device_start", id=device_id)

    def device_ignore_writes(self, device_id: str, ignore: bool) -> None:
        """Make a device acknowledge writes without doing them, or obey again."""
        self._ask(op="device_ignore_writes", id=device_id, ignore=ignore)

    def leak(self, loop_id: str, wet: bool) -> None:
        """Let it leak under a loop (`liquid_cooling_loop_a`), or dry up."""
        self._ask(op="leak", id=loop_id, wet=wet)

    def fault(self, fault_id: str, fault: Fault) -> None:
        """Let a fault of the plant or of a device begin."""
        self._ask(op="fault", id=fault_id, fault=fault.document)

    def fault_clear(self, fault_id: str) -> None:
        """End a fault."""
        self._ask(op="fault_clear", id=fault_id)

    def _ask(self, **request: object) -> dict[str, Any]:
        with self._lock:
            try:
                return self._exchange(request)
            except ControlError:
                self._hang_up()
                raise

    def _exchange(self, request: dict[str, object]) -> dict[str, Any]:
        """The answer to one request, which was not a refusal; ControlError."""
        if self._stream is None:
            self._stream = self._connect()
        try:
            self._stream.write(json.dumps(request).encode() + b"\n")
            self._stream.flush()
            line = self._stream.readline()
        except OSError as error:
            raise ControlError(f"{self._path}: the plant does not answer: {error}") from error
        if not line.endswith(b"\n"):
            raise ControlError(f"{self._path}: the plant has hung up")
        try:
            answer: dict[str, Any] = json.loads(line)
            accepted = answer["ok"]
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError(f"{self._path}: the answer is not the plant's: {error!r}") from error
        if not accepted:
            raise ControlError(answer.get("error", "refused"))
        return answer

    def _connect(self) -> io.BufferedRWPair:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with line:  # the stream keeps the connection open
            line.settimeout(self._timeout_s)
            try:
                line.connect(self._path)
            except OSError as error:
                raise ControlError(f"{self._path}: no plant answers: {error}") from error
            return line.makefile("rwb")

    def _hang_up(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # what was not sent is sent no more
                self._stream.close()
            self._stream = None
