"""The service as the emulator runs it: behind a front that can fail."""

from __future__ import annotations

from typing import Any

from bmc_ext.config import Config
from bmc_ext.service import Service
from bmc_ext.serving.bridge import AsgiApp
from bmc_ext.serving.lanes import Lane
from emulator.faults.injector import Injector


class FaultyService(Service):
    """A Service whose front and sessions `faults`, if any, reaches; all else is its own."""

    def __init__(self, config: Config, faults: Injector | None, **parts: Any) -> None:
        super().__init__(config, **parts)
        self._faults = faults
        if faults is not None:
            faults.sessions = self.sessions

    def front(self, requests: Lane, passwords: Lane, hosts: Lane) -> AsgiApp:
        """The application as clients meet it."""
        front = super().front(requests, passwords, hosts)
        return front if self._faults is None else self._faults.front.around(front)
