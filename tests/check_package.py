"""Build the sdist, the abi3 wheel from it, and use the wheel where nothing else is installed.

The wheel goes into an empty environment without sushy-tools and is run from a folder that is not
the checkout; `dcpi-bmc analyze` must find the true RMS of a recording written here by hand.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RATE_HZ = 4800
VOLTS, AMPS, PHASE_RAD = 230.0, 10.0, 0.5


def main() -> None:
    """Run all steps in a scratch folder; the first failure ends it."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        wheel = build(scratch)
        check_contents(wheel)
        python = install(wheel, scratch)
        check_analyze(python, scratch)
        check_emulate(python, scratch)
    print(f"package: {wheel.name} builds from its sdist, installs alone and analyses truly")


def build(scratch: Path) -> Path:
    """The sdist and, from it alone, the wheel."""
    run(sys.executable, "-m", "build", "--sdist", "--outdir", scratch, ROOT)
    (sdist,) = scratch.glob("*.tar.gz")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", scratch, sdist)
    (wheel,) = scratch.glob("*.whl")
    if "-abi3-" not in wheel.name:
        raise SystemExit(f"package: {wheel.name} is not an abi3 wheel")
    return wheel


def check_contents(wheel: Path) -> None:
    """Schemas, device profiles and the compiled core are inside; tests are not."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "schemas/config/config.schema.json",
        "schemas/config/example.yaml",
        "schemas/messages/workload_announcement.schema.json",
        "schemas/profiles/DCPI.v1_0_0.json",
        "schemas/redfish/DcpiService_v1.xml",
        "drivers/check/check-report.schema.json",
        "drivers/check/page.css",
        "drivers/devices/blueprint.yaml.txt",
        "drivers/devices/eastron_sdm630.yaml",
        "emulator/plant/facilities/campus-250mw.yaml",
        "emulator/scenarios/dead-meter.yaml",
        "schemas/scenario/scenario.schema.json",
        "bmc_ext/sampling/_core.abi3.so",
    ):
        if wanted not in names:
            raise SystemExit(f"package: {wheel.name} lacks {wanted}")
    if any(name.startswith("tests/") for name in names):
        raise SystemExit(f"package: {wheel.name} holds tests")


def install(wheel: Path, scratch: Path) -> Path:
    """The Python of an environment that holds the wheel and its own dependencies only."""
    home = scratch / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "install", "--disable-pip-version-check", wheel)
    probe = "import importlib.util as u; print(u.find_spec('sushy_tools'))"
    if run(python, "-c", probe, cwd=scratch).strip() != "None":
        raise SystemExit("package: sushy-tools came along with the plain install")
    return python


def check_analyze(python: Path, scratch: Path) -> None:
    """`dcpi-bmc analyze --json` gives the RMS and the power that the recording was made of."""
    recording = write_recording(scratch)
    output = run(python.parent / "dcpi-bmc", "analyze", recording, "--json", cwd=scratch)
    windows = [json.loads(line) for line in output.splitlines()]
    if len(windows) != 3:
        raise SystemExit(f"package: analyze gave {len(windows)} windows of 3")
    for window in windows:
        phase = window["phases"][0]
        close(phase["v_rms"], VOLTS)
        close(phase["p_w"], VOLTS * AMPS * math.cos(PHASE_RAD))


def check_emulate(python: Path, scratch: Path) -> None:
    """Without sushy-tools `dcpi-bmc emulate` ends with the one line that says how to get it."""
    command = [python.parent / "dcpi-bmc", "emulate", "--port", "0", "--state-dir", scratch / "s"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    wanted = "dcpi-bmc: emulate needs sushy-tools: pip install 'dcpi-bmc[emulator]'\n"
    if (done.returncode, done.stderr) != (1, wanted):
        raise SystemExit(f"package: emulate ends with {done.returncode}: {done.stderr}")


def write_recording(folder: Path) -> Path:
    """A COMTRADE 1999 ASCII recording of 0.3 s: one phase, 50 Hz, values in mV and mA."""
    channels = [
        "1,VA,A,,V,0.001,0,0,-999999,999999,1,1,P",
        "2,IA,A,,A,0.001,0,0,-99999,99999,1,1,P",
    ]
    count = RATE_HZ * 3 // 10
    header = [
        "bench,1,1999", "2,2A,0D", *channels, "50", "1", f"{RATE_HZ},{count}",
        "01/01/2026,00:00:00.000000", "01/01/2026,00:00:00.000000", "ASCII", "1",
    ]  # fmt: skip
    rows = []
    for index in range(count):
        angle = 2 * math.pi * 50 * index / RATE_HZ
        v = round(1000 * VOLTS * math.sqrt(2) * math.cos(angle))
        i = round(1000 * AMPS * math.sqrt(2) * math.cos(angle - PHASE_RAD))
        rows.append(f"{index + 1},{round(index * 1e6 / RATE_HZ)},{v},{i}")
    (folder / "bench.dat").write_text("\r\n".join(rows) + "\r\n", encoding="ascii")
    config = folder / "bench.cfg"
    config.write_text("\r\n".join(header) + "\r\n", encoding="ascii")
    return config


def close(value: float, truth: float) -> None:
    """Within 0.01 % of the truth, or the end."""
    if abs(value - truth) > 1e-4 * abs(truth):
        raise SystemExit(f"package: analyze says {value}, true is {truth}")


def run(*command: object, cwd: Path | None = None) -> str:
    """Standard output of a command; its output is shown and ends the run where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"package: {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
