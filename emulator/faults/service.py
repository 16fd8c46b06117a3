"""The service as the emulator runs it: behind a front that can fail."""

from __future__ import annotations

from typing import Any

from bmc_ext.config import Config
from bmc_ext.service import Service
from bmc_ext.serving.bridge import AsgiApp
from bmc_ext.serving.lanes import Lane
from emulator.faults.injector import Injector


class FaultyService(Service):
    """A Service whose front and sessions `faults` reaches; everything else is its own."""

    def __init__(self, config: Config, faults: Injector, **parts: Any) -> None:
        super().__init__(config, **parts)
        self._faults = faults
        faults.sessions = self.sessions

    def front(self, requests: Lane, passwords: Lane) -> AsgiApp:
        """The application as clients meet it."""
        return self._faults.front.around(super().front(requests, passwords))
