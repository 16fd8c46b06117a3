"""A campus and its mock BMCs: one that measures by itself, or many that show one measuring."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bmc_ext.config import parse_config
from bmc_ext.measuring import Measuring, instruments_of
from bmc_ext.serving.server import allow_descriptors
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.timekeeping import TimeBound, Timekeeper
from emulator.faults.control import controlled
from emulator.faults.front import FrontFaults
from emulator.faults.injector import Injector, Target
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

    def target(self, number: int, host: SushyHost) -> Target:
        """The BMC of that number, counted from 1, as faults reach it; each has its own chance."""
        return Target(host, FrontFaults(self.seed + number - 1))

    @contextlib.contextmanager
    def on(
        self, control: PlantControl, targets: Sequence[Target], socket: Path
    ) -> Iterator[Player]:
        """Take faults at the socket meanwhile; what plays the scenario, which is not begun.

        ConfigurationError for a scenario that this campus or these BMCs cannot have.
        """
        faults = Injector(self.campus, control, targets, self.tell)
        self.scenario.check(faults.check)
        player = Player(self.scenario, faults, self.tell)
        with controlled(faults, socket):
            try:
                yield player
            finally:
                player.stop()


class _Last:
    """Calls `act` whenever all of so many numbers have been counted; any thread."""

    def __init__(self, wanted: int, act: Callable[[], None]) -> None:
        self._wanted, self._act = wanted, act
        self._counted: set[int] = set()
        self._lock = threading.Lock()

    def count(self, number: int) -> None:
        """One of them, perhaps again."""
        with self._lock:
            self._counted.add(number)
            if len(self._counted) == self._wanted:
                self._act()


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
        target = rehearsal.target(1, host)
        config = self._config()
        control = self._control()
        with rehearsal.on(control, [target], control_socket(self._state.path)) as player:
            bmc = MockBmc(
                config,
                self._state,
                host,
                PlantWorkloads(control),
                target,
                clock=self._clock,
                timekeeper=self._timekeeper(),
            )
            bmc.add_administrator(*self._login)

            def ready(config: Config, port: int) -> None:
                on_ready(config, port)
                player.start()

            bmc.serve(ready)

    def serve_many(
        self, count: int, rehearsal: Rehearsal, on_ready: Callable[[int, MockBmc, int], None]
    ) -> None:
        """So many BMCs; `on_ready` is told number, BMC and port of each, in its thread.

        The scenario begins once all of them answer.
        """
        allow_descriptors(count)
        states = [StateDirectory(self._state.path / str(n)) for n in range(1, count + 1)]
        hosts = [self._host(number, state.path) for number, state in enumerate(states, 1)]
        targets = [rehearsal.target(number, host) for number, host in enumerate(hosts, 1)]
        config, control = self._config(), self._control()
        instruments = instruments_of(config, self._clock)
        measuring = Measuring(config, instruments, self._state, self._clock, self._timekeeper())

        def bmcs() -> Iterator[MockBmc]:
            parts = zip(states, hosts, targets, strict=True)
            for number, (state, host, target) in enumerate(parts, 1):
                bmc = MockBmc(
                    self._own(number, config, state),
                    state,
                    host,
                    PlantWorkloads(control, prefix=f"{number}-"),
                    target,
                    clock=self._clock,
                    measuring=measuring,
                )
                bmc.add_administrator(*self._login)
                yield bmc

        with rehearsal.on(control, targets, control_socket(self._state.path)) as player:
            all_begun = _Last(count, player.start)

            def ready(number: int, bmc: MockBmc, port: int) -> None:
                on_ready(number, bmc, port)
                all_begun.count(number)

            measuring.start()
            try:
                Fleet().serve(bmcs(), ready)
            finally:
                measuring.stop()

    def _own(self, number: int, config: Config, state: StateDirectory) -> Config:
        """The configuration of the BMC of that number of several."""
        port = self._port and self._port + number - 1
        listen = dataclasses.replace(config.listen, port=port)
        return dataclasses.replace(config, state_dir=state.path, listen=listen)

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
