"""`dcpi-bmc device check` and `simulate --fault`, as a user runs them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from pymodbus.client import ModbusTcpClient

from drivers.cli import device
from tests.drivers.device_command import run

Start = Callable[..., tuple[subprocess.Popen[str], str]]


def simulated(start: Start, *options: str) -> str:
    """The target of a simulated device that was started so."""
    _, line = start("simulate", *options, "--tcp", "127.0.0.1:0")
    found = re.search(r"tcp://\S+", line)
    assert found is not None, line
    return found[0]


def test_a_whole_device_exits_with_0_and_says_what_is_not_proven(
    start: Start, tmp_path: Path
) -> None:
    """A simulated reference is found out: its agreement proves nothing; all files are there."""
    target, other = simulated(start, "keller.33x"), simulated(start, "keller.33x")
    result = run(
        "check", "keller.33x", target, "--reference", f"keller.33x@{other}",
        "--duration", "2", "--output", str(tmp_path),
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    said = " ".join(result.stdout.split())
    assert re.search(r"INCONCLUSIVE \(\d+ PASS, 0 FAIL, \d+ INCONCLUSIVE", said)
    assert "this is not proven: pressure: accuracy (pressure.P1)" in said
    assert "says that it is a simulation" in said
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "report.json", "junit.xml", "bus-trace.jsonl", "samples.csv"
    }  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["device"]["simulated"] is True
    assert report["reference"]["simulated"] is True
    accuracy = [f for f in report["findings"] if f["requirement"] == "accuracy"]
    assert [f["verdict"] for f in accuracy] == ["INCONCLUSIVE"], result.stdout
    assert "is a simulation" in accuracy[0]["reason"]


def test_a_report_that_cannot_be_written_costs_no_finding(start: Start, tmp_path: Path) -> None:
    """What was measured is shown, and then why there is no page."""
    (tmp_path / "report.html").mkdir()
    target = simulated(start, "keller.33x")
    result = run("check", "keller.33x", target, "--duration", "2", "--output", str(tmp_path))
    said = " ".join(result.stdout.split())
    assert re.search(r"INCONCLUSIVE \(\d+ PASS, 0 FAIL, \d+ INCONCLUSIVE", said)
    assert "The report is" not in said
    assert result.returncode == 1
    assert "report.html" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_faulty_device_exits_with_1_and_is_explained(start: Start) -> None:
    """A swapped word order fails, and the order that fits is named."""
    target = simulated(start, "keller.33x", "--fault", "word-order=DCBA")
    result = run("check", "keller.33x", target, "--duration", "2")
    assert result.returncode == 1, result.stdout + result.stderr
    said = " ".join(result.stdout.split())
    assert "the values fit with byte order DCBA, the profile's addresses" in said
    assert re.search(r"FAIL \(\d+ PASS, [1-9]\d* FAIL", said)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("check", "keller.33x", "udp://h"), 2, "target 'udp://h' is neither"),
        (("check", "no.such", "tcp://h"), 2, "no device profile 'no.such'"),
        (("check", "keller.33x", "tcp://127.0.0.1:9", "--reference", "keller.33x@tcp://127.0.0.1:9"),
         2, "a device is never its own reference"),
        (("check", "keller.33x", "tcp://127.0.0.1:9", "--reference", "none.csv"), 2, "none.csv"),
        (("check", "keller.33x", "tcp://127.0.0.1:9", "--as", "pressure.P1"), 2, "not POINT=NAME"),
        (("check", "keller.33x", "tcp://127.0.0.1:9"), 1, "tcp://127.0.0.1:9"),
        (("simulate", "keller.33x", "--tcp", "127.0.0.1:0", "--fault", "rust"),
         2, "no fault 'rust'"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_one_clear_line(
    arguments: tuple[str, ...], status: int, error: str
) -> None:
    """Bad requests are status 2, a device that is not there 1, neither a traceback."""
    result = CliRunner().invoke(device, arguments)
    assert result.exit_code == status, result.output
    assert error in result.output
    assert "Traceback" not in result.output


def test_simulate_serves_a_fault_to_an_independent_master(start: Start) -> None:
    """Pymodbus reads the biased value with its words swapped, one address higher."""
    target = simulated(
        start, "keller.33x", "--set", "pressure.P1=2", "--fault", "pressure.P1:bias=0.5",
        "--fault", "word-order", "--fault", "off-by-one",
    )  # fmt: skip
    with ModbusTcpClient("127.0.0.1", port=int(target.rpartition(":")[2]), timeout=10) as master:
        registers = master.read_holding_registers(257, count=2, device_id=1).registers
        kind = master.DATATYPE.FLOAT32
        assert master.convert_from_registers(registers, kind, word_order="little") == 2.5
        assert master.read_holding_registers(256, count=1, device_id=1).exception_code == 2


def test_a_chip_of_linux_is_simulated_and_checked(start: Start, tmp_path: Path) -> None:
    """Beside Modbus too a device is simulated with faults and checked, though without a trace."""
    _, line = start(
        "simulate", "linux.lm75", "--folder", str(tmp_path), "--fault", "refresh=0.25"
    )  # fmt: skip
    target = re.search(r"sysfs://\S+", line)
    assert target is not None, line
    result = run("check", "linux.lm75", target[0], "--duration", "4", "--as", "temperature=silicon")
    said = " ".join(result.stdout.split())
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Sampling rate" in said
    assert "regular as a clock: the device is slow" in said
    assert "no byte stream: no bus trace" in said
