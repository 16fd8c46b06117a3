"""The commands beside the services: what they say when all is well, and when it is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from e2e.emulator_client import COMMAND, Running, wait_for

import schemas


def run(
    *arguments: object, cwd: Path | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    words = [str(COMMAND), *map(str, arguments)]
    return subprocess.run(
        words, cwd=cwd, input=typed, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize("command", ["truth", "stop", "start", "leak"])
def test_plant_without_an_emulator_has_help_and_one_clear_line(
    tmp_path: Path, command: str
) -> None:
    """Help needs no plant; without one the remedy is named in one line."""
    helped = run("plant", "--state-dir", tmp_path, command, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith(f"Usage: dcpi-bmc plant {command}")
    words = [command] if command == "truth" else [command, "cooling_meter"]
    alone = run("plant", "--state-dir", tmp_path, *words)
    assert alone.returncode == 1
    assert alone.stderr.startswith(f"dcpi-bmc: no emulator runs on {tmp_path}")
    assert alone.stderr.count("\n") == 1


def test_plant_commands_reach_the_running_plant(bmc: Running) -> None:
    """The truth is shown, a device is stopped and started, an unknown one is named."""
    plant = ("plant", "--state-dir", bmc.state_dir)
    truth = run(*plant, "truth")
    assert (truth.returncode, truth.stderr) == (0, "")
    assert "liquid_cooling_loop_a" in truth.stdout
    assert run(*plant, "stop", "battery_meter").returncode == 0
    path = "/redfish/v1/dcpi/power/realtime"
    try:
        wait_for(lambda: bmc.get(path)["Quality"] == "comm-error", 5, "the meter is missed")
    finally:
        assert run(*plant, "start", "battery_meter").returncode == 0
    wait_for(lambda: bmc.get(path)["Quality"] == "ok", 5, "the meter is back")
    unknown = run(*plant, "stop", "nosuch")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("dcpi-bmc: id: no device 'nosuch'")


def test_a_leak_is_made_and_ended_by_a_command(bmc: Running) -> None:
    """It wets the cable under one loop until it is dried; an unknown loop is named."""
    plant, loop = ("plant", "--state-dir", bmc.state_dir, "leak"), "liquid_cooling_loop_c"
    uri = f"/redfish/v1/Chassis/DCPI/LeakDetectors/{loop}_cable"
    assert run(*plant, loop).returncode == 0
    try:
        wait_for(lambda: bmc.get(uri)["DetectorState"] == "Critical", 10, "the leak")
    finally:
        assert run(*plant, loop, "--dry").returncode == 0
    wait_for(lambda: bmc.get(uri)["DetectorState"] == "OK", 10, "it is dry again")
    unknown = run(*plant, "nosuch")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("dcpi-bmc: id: no loop 'nosuch'")


def test_serve_takes_its_password_from_a_pipe_and_its_state_elsewhere(tmp_path: Path) -> None:
    """A script sets the password without a terminal's warnings, in the folder that it names."""
    config = tmp_path / "service.yaml"
    config.write_bytes(schemas.path("config/example.yaml").read_bytes())
    set_password = ("serve", "--config", config, "--state-dir", tmp_path / "there")
    done = run(*set_password, "--set-password", "admin", typed="bench-secret\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "dcpi-bmc: admin may log in\n"
    assert (tmp_path / "there").is_dir()
    assert not (tmp_path / "state").exists()
    empty = run(*set_password, "--set-password", "other")
    assert empty.returncode == 2
    assert empty.stderr.count("\n") == 1


def test_serve_of_an_empty_file_says_so(tmp_path: Path) -> None:
    """A file that holds nothing is named, with the way to a first one."""
    config = tmp_path / "service.yaml"
    config.write_text("# nothing yet\n", encoding="utf-8")
    result = run("serve", "--config", config)
    assert result.returncode == 2
    assert "service.yaml: holds nothing; `dcpi-bmc serve --example`" in result.stderr


def test_a_full_disk_is_one_line() -> None:
    """Output that cannot be written is told without a traceback, with exit status 1."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        result = subprocess.run(
            [COMMAND, "workload", "example"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
        )
    assert result.returncode == 1
    assert result.stderr == "dcpi-bmc: No space left on device\n"
