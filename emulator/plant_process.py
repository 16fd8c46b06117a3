"""The plant as a child process that dies with its parent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from bmc_ext.errors import HostUnavailableError

_STOP_S = 3.0


class Ready(NamedTuple):
    """What the plant said when it was ready."""

    config: dict[str, Any]
    control: Path


class PlantProcess:
    """Starts the plant at once; `wait_ready` blocks until its devices answer.

    Its clock is ahead of the system's by `ahead_ns`.
    """

    def __init__(self, facility: str, *, seed: int, state_dir: Path, ahead_ns: int = 0) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "emulator.plant",
            "--facility", facility,
            "--seed", str(seed),
            "--ahead-ns", str(ahead_ns),
            "--state-dir", str(state_dir),
            "--exit-with-stdin",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the service; it stops the plant itself
        )
        self._ready: Ready | None = None
        self._stopping = threading.Event()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def wait_ready(self) -> Ready:
        """The configuration of the campus and its control socket; HostUnavailableError."""
        if self._ready is None:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                raise HostUnavailableError("the plant ended before it was ready")
            said = json.loads(line)
            self._ready = Ready(said["config"], Path(said["control"]))
        return self._ready

    def watch(self, on_end: Callable[[int], None]) -> None:
        """Call `on_end` once, with the exit status, when the plant ends without being stopped.

        One that ends before it is ready is told by `wait_ready`.
        """

        def wait() -> None:
            status = self._process.wait()
            if self._ready is not None and not self._stopping.is_set():
                on_end(status)

        threading.Thread(target=wait, name="plant watch", daemon=True).start()

    def stop(self) -> None:
        """End the plant; kill it if it does not end by itself."""
        self._stopping.set()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
