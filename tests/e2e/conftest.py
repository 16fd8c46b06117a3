"""One running emulator for all tests of this room that do not break it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.emulator_client import Running, emulator, wait_for
from e2e.fault_control import Faults


class SharedBmc:
    """A mock BMC that runs on from file to file while each of them asks it.

    With its plant it takes a quarter of a core, which other tests of this process need.
    """

    def __init__(self, session: pytest.Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._running: Running | None = None
        self._starts = 0

    def running(self) -> Running:
        """It, once its newest window is good."""
        if self._running is None:
            self._starts += 1
            state = self._folder / str(self._starts) / "state"
            self._running = self._stack.enter_context(emulator(state))
        settle(self._running)
        return self._running

    def end_unless_asked_by(self, item: pytest.Item | None) -> None:
        """End it, unless some test of that one's file will ask it."""
        if item is None or not self._is_asked_in(item.path):
            self._stack.close()
            self._running = None

    def _is_asked_in(self, file: Path) -> bool:
        tests = (item for item in self._session.items if item.path == file)
        return any("bmc" in getattr(item, "fixturenames", ()) for item in tests)


_NEXT = pytest.StashKey[pytest.Item | None]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Let fixtures know the test that will be next."""
    item.session.stash[_NEXT] = nextitem


@pytest.fixture(scope="session")
def shared_bmc(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedBmc]:
    """The mock BMC of this process, which a test starts."""
    it = SharedBmc(request.session, tmp_path_factory.mktemp("bmc"))
    yield it
    it.end_unless_asked_by(None)


@pytest.fixture(scope="module")
def bmc(request: pytest.FixtureRequest, shared_bmc: SharedBmc) -> Iterator[Running]:
    """A mock BMC whose first good window has come."""
    yield shared_bmc.running()
    shared_bmc.end_unless_asked_by(request.session.stash[_NEXT])


@pytest.fixture
def faults(bmc: Running) -> Iterator[Faults]:
    """Faults of the shared emulator, which has none afterwards."""
    it = Faults(bmc)
    yield it
    it.clear_all()
    it.control.close()


def settle(it: Running) -> None:
    """Wait until power and coolant are known."""
    path = "/redfish/v1/dcpi/power/realtime"
    wait_for(
        lambda: (a := it.ask("GET", path)).status == 200 and a.body["Quality"] == "ok",
        30,
        "power/realtime with quality ok",
    )
    path = "/redfish/v1/dcpi/thermal/status"
    wait_for(lambda: it.get(path)["Quality"] == "ok", 30, "thermal/status with quality ok")
