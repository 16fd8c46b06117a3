"""Each seeded fault is found, and a whole device passes: through real sockets and a pty."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from drivers.check import (
    Bench,
    CheckSettings,
    Finding,
    Observations,
    TableReference,
    Verdict,
    judge,
    overall,
)
from drivers.check.bus_tap import Record
from drivers.profile import Profile
from drivers.simulation import ModbusRtuServer, ModbusTcpServer, PseudoTerminal
from tests.drivers.check.lab import Lab, at_service

SERVICE_S = 2.5


@dataclass(frozen=True)
class Run:
    """One check and what came of it."""

    seen: Observations
    findings: list[Finding]
    records: list[Record]

    def verdict(self, requirement: str, point: str | None = None) -> Verdict:
        """The worst verdict on a requirement."""
        found = [f for f in self.findings if (f.requirement, f.point) == (requirement, point)]
        assert found, requirement
        return overall(found)

    def failed(self) -> set[tuple[str, str | None]]:
        """What failed."""
        return {(f.requirement, f.point) for f in self.findings if f.verdict is Verdict.FAIL}


def check(
    profile: Profile,
    folder: Path,
    *faults: str,
    serial: bool = False,
    referenced: bool = True,
    writes: bool = False,
) -> Run:
    """Check a laboratory's device, with its table as the reference."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(profile, folder, faults))
        if serial:
            line = stack.enter_context(closing(PseudoTerminal()))
            slave = ModbusRtuServer({1: lab.device}, line.master_fd)
            slave.start()
            stack.callback(slave.stop)
            target = f"serial://{line.path}?baud=115200"
        else:
            server = ModbusTcpServer({1: lab.device})
            server.start()
            stack.callback(server.stop)
            target = f"tcp://127.0.0.1:{server.port}"
        settings = CheckSettings(
            profile,
            target,
            1,
            duration_s=SERVICE_S,
            reference=TableReference(lab.table) if referenced else None,
            allow_writes=writes,
        )
        bench = Bench(settings, at_service(lab, SERVICE_S / 3.0))
        seen = bench.run()
    return Run(seen, judge(seen), bench.records)


@pytest.fixture(scope="module")
def healthy(station: Profile, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole device over TCP."""
    return check(station, tmp_path_factory.mktemp("healthy"), writes=True)


MEASURING = (
    "pressure.loop:bias=0.06",
    "temperature.supply:noise=0.2",
    "temperature.return:drift=0.2",
    "temperature.silicon:refresh=0.22",
    "power.active:factor=10",
    "power.thermal:stuck",
    "energy.counter:backwards",
    "flow.loop:lag=3",
)
BROKEN = ("word-order", "off-by-one", "drop-outs=10%", "exceptions=20%", "slow=0.06")


@pytest.fixture(scope="module")
def faulty(station: Profile, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One device that measures wrongly at every point, and some that are wrong as such.

    By their fault; all checked at the same time, since waiting is most of a check.
    """
    short = quick(station)
    with ThreadPoolExecutor(1 + len(BROKEN)) as pool:
        runs = {
            fault: pool.submit(
                check, short, tmp_path_factory.mktemp("broken"), fault, referenced=False
            )
            for fault in BROKEN
        }
        runs["measuring"] = pool.submit(
            check, station, tmp_path_factory.mktemp("measuring"), *MEASURING
        )
    return {fault: run.result() for fault, run in runs.items()}


@pytest.fixture(scope="module")
def measuring(faulty: dict[str, Run]) -> Run:
    """The device each of whose points measures wrongly in a way of its own."""
    return faulty["measuring"]


def quick(profile: Profile) -> Profile:
    """The same device, for which nobody waits long."""
    return replace(profile, transport=replace(profile.transport, timeout_s=0.5))


def test_a_healthy_device_fails_nothing(healthy: Run) -> None:
    """Accuracy, rate, response, noise and stability pass; what was not swept is not proven."""
    assert healthy.failed() == set()
    accurate = {f.point for f in healthy.findings
                if f.requirement == "accuracy" and f.verdict is Verdict.PASS}  # fmt: skip
    assert accurate == {
        "flow.loop", "pressure.loop", "temperature.supply", "temperature.return",
        "temperature.silicon", "power.active", "power.thermal",
    }  # fmt: skip
    assert healthy.verdict("response", "flow.loop") is Verdict.PASS
    assert healthy.verdict("sampling-rate", "temperature.silicon") is Verdict.PASS
    assert healthy.verdict("range", "flow.loop") is Verdict.INCONCLUSIVE
    assert healthy.verdict("compensation", "pressure.loop") is Verdict.INCONCLUSIVE
    assert healthy.seen.simulated
    assert healthy.seen.suspicions == []


def test_the_cable_is_pulled_and_wrong_requests_are_refused(healthy: Run) -> None:
    """Three ways to lose a connection are overcome, five wrong requests answered by exceptions."""
    assert [pull.recovered_s is not None for pull in healthy.seen.pulls] == [True] * 3
    assert healthy.seen.wrong_requests is not None
    assert len(healthy.seen.wrong_requests) == 5
    assert all(request.refused and request.alive for request in healthy.seen.wrong_requests)


def test_writes_are_made_only_when_allowed(healthy: Run, measuring: Run) -> None:
    """With leave the pump's reference is written as it was; without, no frame is a write."""
    assert healthy.verdict("writes") is Verdict.PASS
    assert [proof.text for proof in healthy.seen.writes or ()] == ["pump.reference"]
    assert measuring.verdict("writes") is Verdict.NOT_APPLICABLE
    functions = {record.data[7] for record in measuring.records if record.kind == "request"}
    assert functions == {3, 99, 0x2B}


@pytest.mark.parametrize(
    ("requirement", "point"),
    [
        ("accuracy", "pressure.loop"),
        ("noise", "temperature.supply"),
        ("stability", "temperature.return"),
        ("sampling-rate", "temperature.silicon"),
        ("accuracy", "power.active"),
        ("own-interval", "power.thermal"),
        ("monotonic", "energy.counter"),
        ("response", "flow.loop"),
    ],
)
def test_a_fault_of_what_is_measured_is_found(measuring: Run, requirement: str, point: str) -> None:
    """Bias, noise, drift, slow refresh, factor 10, stuck, falling and lagging each fail."""
    assert measuring.verdict(requirement, point) is Verdict.FAIL


def test_a_factor_of_ten_is_named(measuring: Run) -> None:
    """What reads ten times the reference is said to be ten times too large."""
    assert [s.text for s in measuring.seen.suspicions] == ["power.active is 10 times too large"]


def test_what_a_fault_does_not_touch_is_not_blamed(measuring: Run) -> None:
    """A bias is no noise, a slow refresh no inaccuracy, a stuck value no proof of accuracy."""
    assert measuring.verdict("noise", "pressure.loop") is Verdict.PASS
    assert measuring.verdict("stability", "pressure.loop") is Verdict.PASS
    assert measuring.verdict("accuracy", "temperature.silicon") is Verdict.PASS
    assert measuring.verdict("accuracy", "power.thermal") is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("fault", "requirement"),
    [
        ("word-order", "identify"),
        ("off-by-one", "answers"),
        ("drop-outs=10%", "load"),
        ("exceptions=20%", "load"),
        ("slow=0.06", "poll-interval"),
    ],
)
def test_a_fault_of_the_device_is_found(
    faulty: dict[str, Run], fault: str, requirement: str
) -> None:
    """Order, address, lost, refused and slow answers each fail."""
    assert faulty[fault].verdict(requirement) is Verdict.FAIL


def test_it_says_which_order_and_which_address_fit(faulty: dict[str, Run]) -> None:
    """Values that do not fit are tried in all orders and one address beside."""
    assert [s.text for s in faulty["word-order"].seen.suspicions] == [
        "the values fit with byte order CDAB, the profile's addresses"
    ]
    assert [s.text for s in faulty["off-by-one"].seen.suspicions] == [
        "the values fit with the profile's byte order, addresses +1"
    ]
    assert faulty["slow=0.06"].seen.suspicions == []


def test_a_device_on_a_serial_line_is_checked_too(station: Profile, tmp_path: Path) -> None:
    """Over RTU on a pty the same device fails nothing, and every frame is in the trace."""
    run = check(quick(station), tmp_path, serial=True)
    assert run.failed() == set()
    assert run.verdict("accuracy", "flow.loop") is Verdict.PASS
    requests = [record.data for record in run.records if record.kind == "request"]
    assert any(frame[:2] == b"\x01\x03" for frame in requests)
    assert run.seen.simulated
