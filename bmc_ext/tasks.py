"""Long operations that run in the background and can be looked at (Redfish's tasks)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Literal

from bmc_ext.clock import Clock
from bmc_ext.errors import ConflictError, DcpiError, NotFoundError

_LOG = logging.getLogger(__name__)

MAX_TASKS: Final = 64
"""Tasks that are kept; of those that are over, the oldest make room."""

State = Literal["New", "Running", "Completed", "Exception"]


@dataclass(frozen=True, slots=True)
class Task:
    """One task as it is now; times are Unix s, `percent` is 0 to 100, `text` what came of it.

    `error` is what ended it before its end.
    """

    id: str
    name: str
    state: State
    percent: int
    text: str
    began_s: float
    ended_s: float | None = None
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing changes any more."""
        return self.ended_s is not None


Run = Callable[[Callable[[int], None]], str]
"""The work: it is given whom to tell the percent done, and returns what came of it."""


class Tasks:
    """The tasks of this process, one after another; all methods may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._number = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="task")

    def start(self, name: str, run: Run) -> Task:
        """Begin; ConflictError where MAX_TASKS are not over yet."""
        with self._lock:
            self._make_room()
            self._number += 1
            task = Task(str(self._number), name, "New", 0, "", self._now_s())
            self._tasks[task.id] = task
        self._worker.submit(self._run, task.id, run)
        return task

    def list(self) -> tuple[Task, ...]:
        """All that are kept, oldest first."""
        with self._lock:
            return tuple(self._tasks.values())

    def get(self, task_id: str) -> Task:
        """One task; NotFoundError."""
        with self._lock:
            try:
                return self._tasks[task_id]
            except KeyError:
                raise NotFoundError(f"no task {task_id[:20]!r}") from None

    def close(self) -> None:
        """Finish the task that runs; those that have not begun never will."""
        self._worker.shutdown(cancel_futures=True)

    def _make_room(self) -> None:
        if len(self._tasks) < MAX_TASKS:
            return
        over = next((task.id for task in self._tasks.values() if task.is_over), None)
        if over is None:
            raise ConflictError(f"{MAX_TASKS} tasks are waiting; wait for one to end")
        del self._tasks[over]

    def _run(self, task_id: str, run: Run) -> None:
        self._change(task_id, "Running", 0, "")
        try:
            text = run(lambda percent: self._change(task_id, "Running", percent, ""))
        except DcpiError as error:
            self._change(task_id, "Exception", None, str(error), error)
        except Exception as error:
            _LOG.exception("task %s failed", task_id)
            text = "the service failed; its log says why"
            self._change(task_id, "Exception", None, text, error)
        else:
            self._change(task_id, "Completed", 100, text)

    def _change(
        self,
        task_id: str,
        state: State,
        percent: int | None,
        text: str,
        error: Exception | None = None,
    ) -> None:
        with self._lock:
            task = self._tasks[task_id]
            self._tasks[task_id] = replace(
                task,
                state=state,
                percent=task.percent if percent is None else percent,
                text=text,
                error=error,
                ended_s=self._now_s() if state in ("Completed", "Exception") else None,
            )

    def _now_s(self) -> float:
        return self._clock.unix_ns() / 1e9
