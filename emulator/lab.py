"""A campus and its mock BMCs: one that measures by itself, or many that show one measuring."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from bmc_ext.config import Config, parse_config
from bmc_ext.measuring import Measuring, instruments_of
from bmc_ext.serving.server import allow_descriptors
from bmc_ext.state import StateDirectory
from bmc_ext.timekeeping import TimeBound, Timekeeper
from emulator.faults.control import controlled
from emulator.faults.front import FrontFaults
from emulator.faults.injector import Injector
from emulator.faults.scenario import Player, Scenario
from emulator.fleet import Fleet
from emulator.host import SushyHost
from emulator.host.machines import numbered_machines
from emulator.mock_bmc import MockBmc
from emulator.plant.client import PlantControl
from emulator.plant.facility import Facility
from emulator.plant.socket_path import control_socket
from emulator.plant_process import PlantProcess
from emulator.shifted_clock import ShiftedClock
from emulator.workloads import PlantWorkloads


@dataclasses.dataclass(frozen=True, slots=True)
class Rehearsal:
    """The faults of a scenario on a campus; `tell` is given a line for each."""

    campus: Facility
    scenario: Scenario
    seed: int
    tell: Callable[[str], None]

    def on(self, control: PlantControl, host: SushyHost) -> tuple[Injector, Player]:
        """Their way in, and what plays them. FaultError for one that this campus cannot have."""
        faults = Injector(self.campus, control, host, FrontFaults(self.seed), self.tell)
        self.scenario.check(faults.check)
        return faults, Player(self.scenario, faults, self.tell)


class Lab:
    """Serves mock BMCs over a plant that has begun to start.

    BMC number n of several listens on `port` + n - 1 (on any where `port` is 0) and keeps its
    accounts, certificate, machines and books in the folder n of the state directory. They share
    the campus, its devices and all that is measured of it. libvirt's domains at `libvirt_uri` are
    the machines of the only BMC. `login` is the name and password of each one's administrator.
    """

    def __init__(
        self,
        plant: PlantProcess,
        state: StateDirectory,
        clock: ShiftedClock,
        *,
        port: int,
        legacy: bool,
        login: tuple[str, str],
        libvirt_uri: str | None = None,
    ) -> None:
        self._plant = plant
        self._state = state
        self._clock = clock
        self._port = port
        self._legacy = legacy
        self._login = login
        self._libvirt_uri = libvirt_uri

    def serve_one(self, rehearsal: Rehearsal, on_ready: Callable[[Config, int], None]) -> None:
        """The only BMC; the state directory is its own, and faults reach it."""
        host = self._host(1, self._state.path)  # while the plant starts
        config = self._config()
        control = self._control()
        faults, player = rehearsal.on(control, host)
        bmc = MockBmc(
            config,
            self._state,
            host,
            PlantWorkloads(control),
            clock=self._clock,
            timekeeper=self._timekeeper(),
            faults=faults,
        )
        bmc.add_administrator(*self._login)

        def ready(config: Config, port: int) -> None:
            on_ready(config, port)
            player.start()

        with controlled(faults, control_socket(self._state.path)):
            bmc.serve(ready)
        player.stop()

    def serve_many(self, count: int, on_ready: Callable[[int, MockBmc, int], None]) -> None:
        """So many BMCs; `on_ready` is told number, BMC and port of each, in its thread."""
        allow_descriptors(count)
        config = self._config()
        instruments = instruments_of(config, self._clock)
        measuring = Measuring(config, instruments, self._state, self._clock, self._timekeeper())
        measuring.start()
        try:
            Fleet().serve(self._numbered(count, config, measuring), on_ready)
        finally:
            measuring.stop()

    def _numbered(self, count: int, config: Config, measuring: Measuring) -> Iterator[MockBmc]:
        control = self._control()
        for number in range(1, count + 1):
            state = StateDirectory(self._state.path / str(number))
            port = self._port and self._port + number - 1
            own = dataclasses.replace(
                config,
                state_dir=state.path,
                listen=dataclasses.replace(config.listen, port=port),
            )
            host = self._host(number, state.path)
            sink = PlantWorkloads(control, prefix=f"{number}-")
            bmc = MockBmc(own, state, host, sink, clock=self._clock, measuring=measuring)
            bmc.add_administrator(*self._login)
            yield bmc

    def _host(self, number: int, directory: Path) -> SushyHost:
        system, chassis = numbered_machines(number)
        host = SushyHost(
            directory / "host",
            systems=[system],
            chassis=[chassis],
            legacy=self._legacy,
            clock=self._clock,
            libvirt_uri=self._libvirt_uri,
        )
        host.warm_up()
        return host

    def _config(self) -> Config:
        return parse_config(
            {
                **self._plant.wait_ready().config,
                "state_dir": str(self._state.path),
                "listen": {"port": self._port, "lockout_threshold": 0},
                "control": "act",
                "events": {"allow_http": True, "allow_loopback": True},
                "legacy": self._legacy,
            },
            base=self._state.path,
            origin="the plant's configuration",
        )

    def _control(self) -> PlantControl:
        return PlantControl(self._plant.wait_ready().control)

    def _timekeeper(self) -> Timekeeper:
        """A clock that was set for a test is nobody's UTC."""
        if self._clock.ahead_ns:
            return Timekeeper(self._clock, kernel=TimeBound, daemons=())
        return Timekeeper(self._clock)
