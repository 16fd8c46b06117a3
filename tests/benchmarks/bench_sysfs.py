"""200 hwmon sensors at 10 Hz: what of a core the engine takes, however they are spread over chips.

    python -m tests.benchmarks.bench_sysfs [--seconds S]

The chips are directories of files: the figures are the engine's own cost, without I2C transfers.
Prints a table and one JSON object. Goal: at or below 5 % of a core, no missed slot.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from drivers.engine import DeviceSpec, Engine
from drivers.reading import Quality

SENSORS = 200
CHIPS = (1, 25, 200)
GOAL_PERCENT = 5.0

PROFILE = """\
profile: device-profile/1
protocol: sysfs
id: bench.chip
vendor: any
model: chip
kind: TemperatureModule
sources: [{ref: this benchmark, verified: restated}]
transport: {timeout_ms: 100}
defaults: {group: fast}
groups:
  fast: {every_ms: 100, source_ms: 100, stale_after_ms: 1000}
points:
"""


def measure(chips: int, seconds: float) -> dict[str, float]:
    """Percent of a core, polls a second and missed slots of 200 sensors on so many chips."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(_devices(Path(folder), chips))
        engine.start()
        time.sleep(2.0)
        before = _polls(engine)
        began, used = time.monotonic(), time.process_time()
        time.sleep(seconds)
        wall, used = time.monotonic() - began, time.process_time() - used
        polls, missed = (now - was for now, was in zip(_polls(engine), before, strict=True))
        fresh = all(
            reading.quality is Quality.OK
            for device in engine.device_ids
            for reading in engine.readings(device).values()
        )
        engine.stop()
    assert fresh, "a sensor was not read"
    return {
        "chips": chips,
        "core_percent": round(100.0 * used / wall, 2),
        "polls_per_s": round(polls / wall, 1),
        "missed": missed,
    }


def _devices(folder: Path, chips: int) -> list[DeviceSpec]:
    """The tree of files, on four I2C adapters, and the devices that read it."""
    sensors = SENSORS // chips
    at = "{{at: {{file: temp{k}_input}}, unit: Cel, scale: 0.001, range: [-55, 150]}}"
    points = "".join(f"  t{k}: {at.format(k=k)}\n" for k in range(1, sensors + 1))
    profile = folder / "chip.yaml"
    profile.write_text(PROFILE + points)
    devices = []
    for number in range(chips):
        device = f"{number % 4}-{number:04x}"
        chip = folder / "hwmon" / f"hwmon{number}"
        chip.mkdir(parents=True)
        (folder / device).mkdir()
        (chip / "device").symlink_to(folder / device)
        (chip / "name").write_text("chip\n")
        for sensor in range(1, sensors + 1):
            (chip / f"temp{sensor}_input").write_text("25000\n")
        target = f"sysfs://{folder}/hwmon?name=chip&device={device}"
        devices.append(DeviceSpec(device, str(profile), target))
    return devices


def _polls(engine: Engine) -> tuple[int, int]:
    statistics = [engine.statistics(device) for device in engine.device_ids]
    return sum(s.polls for s in statistics), sum(s.missed_slots for s in statistics)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=10.0)
    seconds = options.parse_args().seconds
    found = [measure(chips, seconds) for chips in CHIPS]
    print(f"{'chips':>6} {'sensors':>8} {'% of a core':>12} {'polls/s':>9} {'missed':>7}")
    for row in found:
        print(
            f"{row['chips']:>6} {SENSORS // int(row['chips']):>8} {row['core_percent']:>12} "
            f"{row['polls_per_s']:>9} {row['missed']:>7}"
        )
    kept = all(row["core_percent"] <= GOAL_PERCENT and not row["missed"] for row in found)
    print(json.dumps({"sysfs": found, "goal_percent": GOAL_PERCENT, "kept": kept}))


if __name__ == "__main__":
    main()
