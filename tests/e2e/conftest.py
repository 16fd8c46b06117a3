"""One running emulator for all tests of this room that do not break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e.emulator_client import Running, emulator, wait_for
from e2e.fault_control import Faults


@pytest.fixture(scope="session")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A mock BMC whose first good window has come."""
    with emulator(tmp_path_factory.mktemp("bmc") / "state") as it:
        settle(it)
        yield it


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
        10,
        "power/realtime with quality ok",
    )
    path = "/redfish/v1/dcpi/thermal/status"
    wait_for(lambda: it.get(path)["Quality"] == "ok", 10, "thermal/status with quality ok")
