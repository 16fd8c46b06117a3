"""Scenario files: a seed, and which faults begin and end when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import schemas
from bmc_ext.errors import ConfigurationError
from bmc_ext.yaml_file import read_yaml
from emulator.faults.injector import Injector
from emulator.faults.vocabulary import (
    Fault,
    fault_without_timing,
    first_problem,
    not_finite,
)
from emulator.plant.errors import FaultError, PlantError

SHIPPED: Final = Path(__file__).parent.parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Event:
    """A fault from `at_s` to `until_s`, None for ever; seconds after the start."""

    at_s: float
    until_s: float | None
    fault: Fault


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file: its events in the order in which they begin; `origin` is its path."""

    origin: str
    description: str
    seed: int
    events: tuple[Event, ...]

    def check(self, check: Callable[[Fault], None]) -> None:
        """ConfigurationError with file and place where `check` raises FaultError."""
        for event in self.events:
            try:
                check(event.fault)
            except FaultError as error:
                raise ConfigurationError(
                    f"{self.origin}: the event at {event.at_s:g} s: {error}"
                ) from error


CALM: Final = Scenario("calm", "Nothing fails.", 1, ())


def shipped() -> list[str]:
    """The names of the scenarios that come with the emulator."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_scenario(name_or_path: str) -> Scenario:
    """A shipped scenario by name or any by path; ConfigurationError names file, place, reason."""
    path = SHIPPED / f"{name_or_path}.yaml"
    if name_or_path not in shipped():
        path = Path(name_or_path)
        if not path.exists():
            known = ", ".join(shipped())
            raise ConfigurationError(f"{path}: no such scenario (shipped are: {known})")
    document = read_yaml(path)
    problem = first_problem(schemas.validator("scenario/scenario").iter_errors(document))
    if problem is None and (place := not_finite(document)) is not None:
        problem = place, "not a finite number"
    if problem is not None:
        raise ConfigurationError(f"{path}: {problem[0] or 'top level'}: {problem[1]}")
    events = [_event(entry, f"{path}: events/{n}") for n, entry in enumerate(document["events"])]
    return Scenario(
        str(path),
        document.get("description", ""),
        document.get("seed", CALM.seed),
        tuple(sorted(events, key=lambda event: event.at_s)),
    )


def _event(document: dict[str, Any], place: str) -> Event:
    at_s, until_s = document["at_s"], document.get("until_s")
    if until_s is not None and until_s <= at_s:
        raise ConfigurationError(f"{place}/until_s: {until_s:g} is not after at_s, {at_s:g}")
    return Event(at_s, until_s, fault_without_timing(document))


class Player:
    """Plays a scenario once on the wall clock, in a thread of its own."""

    def __init__(self, scenario: Scenario, injector: Injector, tell: Callable[[str], None]) -> None:
        self._scenario = scenario
        self._injector = injector
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scenario", daemon=True)

    def start(self) -> None:
        """Begin now; does nothing the second time."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Begin no further event."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        start_s = time.monotonic()
        for event in self._scenario.events:
            if self._stopping.wait(max(0.0, start_s + event.at_s - time.monotonic())):
                return
            for_s = None if event.until_s is None else event.until_s - event.at_s
            try:
                self._injector.inject(event.fault, for_s)
            except PlantError as error:
                self._tell(f"fault at {event.at_s:g} s fails: {event.fault}: {error}")
        if self._scenario.events:
            self._tell("the scenario's last fault has begun")
