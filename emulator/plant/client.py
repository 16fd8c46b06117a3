"""A client of the plant's control socket, for the emulator and for tests."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from emulator.plant.errors import ControlError


class PlantControl:
    """One connection to a running plant; may be shared by threads.

    Every method raises ControlError with the plant's reason, or when it does not answer in time.
    """

    def __init__(self, path: str | Path, *, timeout_s: float = 5.0) -> None:
        self._path = str(path)
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(self._path)
        except OSError as error:
            self._socket.close()
            raise ControlError(f"{self._path}: no plant answers: {error}") from error
        self._lines = self._socket.makefile("rb")

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
        self._lines.close()
        self._socket.close()

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

    def _ask(self, **request: object) -> dict[str, Any]:
        with self._lock:
            try:
                self._socket.sendall(json.dumps(request).encode() + b"\n")
                line = self._lines.readline()
            except OSError as error:
                raise ControlError(f"{self._path}: the plant does not answer: {error}") from error
        if not line:
            raise ControlError(f"{self._path}: the plant has hung up")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise ControlError(answer["error"])
        return answer
