"""The blueprint for vendors and its guide: what they promise holds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.codec import PointCodec
from drivers.engine import DeviceSpec, Engine
from drivers.probe import scan
from drivers.profile import SHIPPED_DIRECTORY, Profile, list_profiles, load_profile
from drivers.protocol import protocol_named
from drivers.reading import Quality
from drivers.register_image import golden_values
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """The blueprint, copied as the guide says."""
    shutil.copy(SHIPPED_DIRECTORY / "blueprint.yaml.txt", tmp_path / "acme_am100.yaml")
    return load_profile("acme.am100", [tmp_path])


@pytest.fixture
def device(profile: Profile) -> SimulatedDevice:
    """The blueprint's device, simulated."""
    simulated = SimulatedDevice(profile)
    SimulatedBehaviour(simulated).advance(7200.5)
    return simulated


def test_the_blueprint_is_a_profile_that_keeps_its_own_word(
    profile: Profile, device: SimulatedDevice
) -> None:
    """A copy loads, its vectors hold, and its simulation keeps its checks."""
    assert profile.evidence == "manual"
    for vector in profile.golden:
        values = golden_values(profile, vector)
        assert {name: value for name, (value, _) in values.items()} == pytest.approx(vector.expect)
    values = {}
    for name, point in profile.points.items():
        value = device.get(name)
        assert value is not None
        values[name] = PointCodec(point).to_device(value)
    assert [check.holds(values) for check in profile.checks] == [True]


def test_the_blueprint_is_read_live(
    profile: Profile,
    device: SimulatedDevice,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Integer and fraction of its energy arrive as one total, a field of a register by itself."""
    target = f"tcp://127.0.0.1:{serve_tcp({1: device}).port}"
    engine = run_engine(DeviceSpec("d", str(profile.path), target, 1))
    wait_until(lambda: {r.quality for r in engine.readings("d").values()} == {Quality.OK}, 10.0)
    readings = engine.readings("d")
    # 2200 W for 7200.5 s are 4.4003 kWh, of which the registers hold thousandths.
    assert readings["energy.active.import"].value == pytest.approx(4.400 * 3.6e6)
    assert readings["firmware"].value == 3.0
    assert readings["alarm"].value == 0.0


def test_a_search_finds_the_model_by_its_text(
    profile: Profile,
    device: SimulatedDevice,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
) -> None:
    """A device that bears another text is not taken for this model, however alike its values."""
    modbus = protocol_named("modbus")
    target = modbus.parse_target(f"tcp://127.0.0.1:{serve_tcp({1: device}).port}")
    transport = modbus.transport(target, profile.transport)
    found = dict(scan(transport, [1], [profile], 1.0))[1]
    assert found is not None
    assert found.profiles == (profile,)
    device._registers[4][100] = 0x4158
    found = dict(scan(transport, [1], [profile], 1.0))[1]
    assert found is not None
    assert found.profiles == ()
    transport.close()


def members(schema: Any) -> Iterator[str]:
    """The names of all members that a schema knows."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from members(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from members(value)


def test_the_guide_explains_every_member_type_and_error() -> None:
    """No member, register type or evidence level of the schema is missing in the guide."""
    guide = (SHIPPED_DIRECTORY / "README.md").read_text("utf-8")
    words = {
        word for code in re.findall(r"`+([^`]+)`+", guide) for word in re.findall(r"\w+", code)
    }
    schema = json.loads((SHIPPED_DIRECTORY / "device-profile.schema.json").read_text("utf-8"))
    types = schema["$defs"]["type"]["enum"]
    levels = schema["properties"]["sources"]["items"]["properties"]["verified"]["enum"]
    spoken = set(members(schema)) | set(types) | {level.split("-")[0] for level in levels}
    # What is read of a golden vector and `at` are shown by example or belong to other protocols.
    assert spoken - words - {"regs"} == set()


def test_the_error_that_the_guide_shows_is_the_one_that_comes(tmp_path: Path) -> None:
    """File, line, place and reason, as the guide says."""
    text = (SHIPPED_DIRECTORY / "blueprint.yaml.txt").read_text("utf-8")
    path = tmp_path / "acme.yaml"
    path.write_text(text.replace("unit: Hz", "unit: hertz"))
    line = next(k for k, row in enumerate(text.splitlines(), 1) if row.startswith("  frequency:"))
    expected = rf"acme\.yaml:{line}: points/frequency/unit: unknown unit 'hertz' \(UCUM; known: "
    with pytest.raises(Exception, match=expected):
        load_profile(path)


def test_a_folder_of_ones_own_is_looked_at_first(tmp_path: Path) -> None:
    """A copy of the blueprint in a configured folder appears among the shipped profiles."""
    shutil.copy(SHIPPED_DIRECTORY / "blueprint.yaml.txt", tmp_path / "acme_am100.yaml")
    listed = {profile.id for profile in list_profiles([tmp_path])}
    assert {"acme.am100", "eastron.sdm630"} <= listed


def test_the_way_of_the_guide_leads_to_readings(tmp_path: Path, stack: ExitStack) -> None:
    """Copy, show, simulate and probe, as a vendor types them: the model is found and read."""
    path = shutil.copy(SHIPPED_DIRECTORY / "blueprint.yaml.txt", tmp_path / "acme_am100.yaml")
    command = [sys.executable, "-u", "-c", "from drivers.cli import device; device()"]
    shown = subprocess.run(
        [*command, "show", str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "acme.am100  ACME AM-100" in shown.stdout
    simulator = subprocess.Popen(
        [*command, "simulate", str(path), "--tcp", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    stack.enter_context(simulator)
    stack.callback(simulator.kill)
    assert simulator.stdout is not None
    address = re.search(r"127\.0\.0\.1:\d+", simulator.stdout.readline())
    assert address is not None
    probed = subprocess.run(
        [*command, "probe", "--tcp", address[0], "--unit", "1", "--profiles", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "acme.am100" in probed.stdout
    assert re.search(r"frequency +50", probed.stdout)
