"""One mock BMC: the machines of a host and the service over a campus, with a state of its own."""

from __future__ import annotations

from collections.abc import Callable

from bmc_ext.clock import Clock
from bmc_ext.measuring import Measuring
from bmc_ext.service import Service, on_same_port
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.timekeeping import Timekeeper
from emulator.faults.injector import Target
from emulator.faults.service import FaultyService
from emulator.host import SushyHost
from emulator.workloads import PlantWorkloads


class MockBmc:
    """A BMC that serves, and begins anew when a client resets its manager, until it is ended.

    It shows what `measuring` measures, or measures itself. The host keeps its own state. Faults
    reach its front and its sessions as `target`.
    """

    def __init__(
        self,
        config: Config,
        state: StateDirectory,
        host: SushyHost,
        sink: PlantWorkloads,
        target: Target,
        *,
        clock: Clock,
        timekeeper: Timekeeper | None = None,
        measuring: Measuring | None = None,
    ) -> None:
        self._host = host
        self._sink = sink
        self._clock = clock
        self._timekeeper = timekeeper
        self._measuring = measuring
        self._target = target
        self._is_ended = False
        self._service = self._build(config, state)

    @property
    def uuid(self) -> str:
        """That of its service root."""
        return self._service.context.uuid

    def add_administrator(self, username: str, password: str) -> None:
        """Make the account where it is missing."""
        self._service.accounts.ensure(username, password, "Administrator")

    def serve(self, on_ready: Callable[[Config, int], None]) -> None:
        """Answer requests until `end`, in the main thread until SIGINT or SIGTERM as well.

        `on_ready` is told the port whenever it begins.
        """
        while self._service.serve(on_ready):
            self._service = self._build(on_same_port(self._service))
            if self._is_ended:
                self._service.lifecycle.end()

    def end(self) -> None:
        """Have `serve` return soon; any thread."""
        self._is_ended = True
        self._service.lifecycle.end()

    def _build(self, config: Config, state: StateDirectory | None = None) -> Service:
        return FaultyService(
            config,
            self._target,
            host=self._host,
            firmware=self._host,
            host_name=self._host.name,
            sink=self._sink,
            clock=self._clock,
            timekeeper=self._timekeeper,
            state=state,
            measuring=self._measuring,
        )
