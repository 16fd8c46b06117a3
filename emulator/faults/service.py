"""The service as the emulator runs it: behind a front that can fail."""

from __future__ import annotations

from typing import Any

from bmc_ext.service import Service
from bmc_ext.serving.bridge import AsgiApp
from bmc_ext.serving.lanes import Lane
from bmc_ext.settings import Config
from emulator.faults.injector import Target


class FaultyService(Service):
    """A Service whose front and sessions faults reach as `target`; all else is its own."""

    def __init__(self, config: Config, target: Target, **parts: Any) -> None:
        super().__init__(config, **parts)
        self._target = target
        target.sessions = self.sessions

    def front(self, requests: Lane, passwords: Lane, hosts: Lane) -> AsgiApp:
        """The application as clients meet it."""
        return self._target.front.around(super().front(requests, passwords, hosts))
