"""SNMP against net-snmp: its agent read and set by the driver, our simulated agent by its tools."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from free_port import free_port

from drivers.engine import DeviceSpec, Engine
from drivers.errors import TargetError, TransportError
from drivers.profile import load_profile
from drivers.protocols.snmp import SNMP, Object, SnmpTransport, SnmpWrite
from drivers.protocols.snmp_target import User, parse_snmp_target
from drivers.reading import Quality
from drivers.simulation import SimulatedBehaviour
from drivers.simulation.point_values import PointValues
from drivers.simulation.snmp_agent import SnmpAgent

_SNMPD = shutil.which("snmpd", path="/usr/sbin:/usr/bin:/sbin:/bin")
_SNMP_UPS = next(
    (p for p in ("/lib/nut/snmp-ups", "/usr/lib/nut/snmp-ups") if Path(p).exists()), None
)
needs_snmpd = pytest.mark.skipif(_SNMPD is None, reason="snmpd is not installed")
needs_tools = pytest.mark.skipif(not shutil.which("snmpget"), reason="snmp is not installed")
needs_nut = pytest.mark.skipif(_SNMP_UPS is None, reason="nut-snmp is not installed")

_UPS = "1.3.6.1.2.1.33.1"
_CONFIGURATION = f"""\
agentAddress udp:127.0.0.1:{{port}}
rocommunity public
rwcommunity private
createUser reader SHA-256 "authpass1" AES "privpass1"
createUser signer SHA "authpass2"
rouser reader priv
rouser signer auth
override 1.3.6.1.2.1.1.2.0 object_id .1.3.6.1.4.1.318.1.3.4.5
override {_UPS}.2.1.0 integer 2
override {_UPS}.2.4.0 integer 93
override {_UPS}.2.5.0 integer 546
override {_UPS}.2.6.0 integer -1
override {_UPS}.2.7.0 integer 25
override {_UPS}.3.3.1.3.1 integer 231
override {_UPS}.4.1.0 integer 3
override -rw {_UPS}.9.7.0 integer 5
override {_UPS}.99.1.0 octet_str "54.6"
override {_UPS}.99.2.0 octet_str "many"
override {_UPS}.99.3.0 uinteger 12345
override {_UPS}.99.4.0 integer 2
"""


class Snmpd:
    """net-snmp's agent in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        self._folder = folder
        (folder / "snmpd.conf").write_text(_CONFIGURATION.format(port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        persistent = str(self._folder / "persistent")
        environment = os.environ | {"SNMP_PERSISTENT_DIR": persistent, "MIBS": ""}
        configuration = str(self._folder / "snmpd.conf")
        assert _SNMPD is not None
        self._process = subprocess.Popen(
            [_SNMPD, "-f", "-C", "-c", configuration, "-Lf", str(self._folder / "log")],
            env=environment,
        )
        deadline = time.monotonic() + 10.0
        transport = self.transport("community=public")
        while True:
            try:
                transport.read(1, (Object("1.3.6.1.2.1.1.3.0"),), 0.2)
                break
            except TransportError:
                assert time.monotonic() < deadline
        transport.close()

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def transport(self, query: str) -> SnmpTransport:
        """The driver's transport to it."""
        target = parse_snmp_target(f"snmp://127.0.0.1:{self.port}?{query}")
        return SNMP.transport(target, load_profile("ietf.ups_mib").transport)


@pytest.fixture
def snmpd(tmp_path: Path, stack: ExitStack) -> Snmpd:
    """A running agent."""
    agent = Snmpd(tmp_path)
    stack.callback(agent.stop)
    agent.start()
    return agent


def _secrets(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secrets.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


_READER = "user: reader\nauth: SHA256\nauth_key: authpass1\npriv: AES128\npriv_key: privpass1\n"
_WANTED = (
    Object("1.3.6.1.2.1.1.2.0", under="1.3.6.1.4.1.318"),
    Object("1.3.6.1.2.1.1.2.0", under="1.3.6.1.4.1.31"),
    Object(f"{_UPS}.2.4.0"),
    Object(f"{_UPS}.99.1.0"),
    Object(f"{_UPS}.99.2.0"),
    Object(f"{_UPS}.99.3.0", digits=f"{_UPS}.99.4.0"),
    Object(f"{_UPS}.99.3.0", digits=f"{_UPS}.99.9.0"),
    Object(f"{_UPS}.2.9.0"),
)


@needs_snmpd
@pytest.mark.parametrize("access", ["1", "2c", "authPriv", "authNoPriv"])
def test_objects_of_net_snmps_agent_are_read(snmpd: Snmpd, tmp_path: Path, access: str) -> None:
    """Integers, texts of numbers, OIDs, decimal digits and missing objects, by every version."""
    query = f"community=public&version={access}"
    if access == "authPriv":
        query = f"credentials={_secrets(tmp_path, _READER)}"
    elif access == "authNoPriv":
        signer = "user: signer\nauth: SHA\nauth_key: authpass2\n"
        query = f"credentials={_secrets(tmp_path, signer)}"
    transport = snmpd.transport(query)
    numbers = transport.read(1, _WANTED, 2.0)
    transport.close()
    # 12345 with two decimal digits; without the object that tells them it is no value.
    assert numbers == pytest.approx(
        [1.0, 0.0, 93.0, 54.6, float("nan"), 123.45, float("nan"), float("nan")], nan_ok=True
    )


@needs_snmpd
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_READER.replace("authpass1", "authpass9"), "digest"),
        (_READER.replace("reader", "nobody"), "security|[Uu]nknown"),
    ],
)
def test_a_wrong_key_or_user_is_told(snmpd: Snmpd, tmp_path: Path, text: str, reason: str) -> None:
    """The agent's refusal reaches the reader, and the key does not."""
    transport = snmpd.transport(f"credentials={_secrets(tmp_path, text)}")
    with pytest.raises(TransportError, match=reason) as caught:
        transport.read(1, _WANTED, 2.0)
    transport.close()
    assert "pass" not in str(caught.value)


@needs_snmpd
def test_a_set_is_done_or_refused(snmpd: Snmpd) -> None:
    """A SET that the agent takes is there afterwards; one that it refuses says why."""
    transport = snmpd.transport("community=private")
    transport.write(1, SnmpWrite(f"{_UPS}.9.7.0", "Integer32", 9), 2.0)
    assert transport.read(1, (Object(f"{_UPS}.9.7.0"),), 2.0) == [9.0]
    with pytest.raises(TransportError, match="the agent refuses: no") as caught:
        transport.write(1, SnmpWrite(f"{_UPS}.2.4.0", "Integer32", 9), 2.0)
    assert caught.value.refused
    transport.close()


@needs_snmpd
def test_the_engine_reads_sets_loses_and_finds_an_agent(
    snmpd: Snmpd,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """The UPS-MIB of net-snmp's agent as Readings; absent stays absent; a killed agent is lost."""
    target = f"snmp://127.0.0.1:{snmpd.port}?community=private"
    engine = run_engine(DeviceSpec("ups", "ietf.ups_mib", target))
    wait_until(lambda: engine.reading("ups", "battery.soc").quality is Quality.OK, 5.0)
    readings = engine.readings("ups")
    assert readings["battery.soc"].value == 93.0
    assert readings["battery.voltage"].value == pytest.approx(54.6)
    assert readings["battery.current"].quality is Quality.ABSENT
    assert readings["voltage.in.L1"].value == 231.0
    assert readings["voltage.in.L2"].quality is Quality.ABSENT
    result = engine.write("ups", "config.low_battery_time", 12.0, timeout_s=3.0)
    assert (result.status, result.accepted) == ("accepted", 12.0)
    snmpd.stop()
    lost_after = wait_until(
        lambda: engine.reading("ups", "battery.soc").quality is Quality.COMM_ERROR, 5.0
    )
    assert lost_after < 2.5  # 1 s is the aim, the rest is slack for a slow machine
    snmpd.start()
    wait_until(lambda: engine.reading("ups", "battery.soc").quality is Quality.OK, 10.0)


class _Session:
    """An agent that takes at most three objects at once, or none that is not there."""

    def __init__(self, *, version: str) -> None:
        self.version = version
        self.asked: list[int] = []

    def get(self, oids: list[str], _timeout_s: float) -> tuple[int, int, dict[str, Any]]:
        self.asked.append(len(oids))
        missing = [oid for oid in oids if oid.endswith(".4")]
        if self.version == "1" and missing:
            return 2, oids.index(missing[0]) + 1, {}
        if self.version == "2c" and len(oids) > 3:
            return 1, 0, {}
        return 0, 0, {oid: int(oid[-1]) for oid in oids if oid not in missing}


@pytest.mark.parametrize(("version", "asked"), [("1", [8, 7]), ("2c", [8, 4, 2, 2, 4, 2, 2])])
def test_an_agent_with_limits_is_asked_less_at_once(version: str, asked: list[int]) -> None:
    """Too big is asked in halves; what version 1 misses is left out; all other values arrive."""
    session = _Session(version=version)
    transport = SnmpTransport(session, "agent")  # type: ignore[arg-type]  # what it needs of one
    numbers = transport.read(1, [Object(f"1.3.6.{k}") for k in range(1, 9)], 1.0)
    assert numbers == pytest.approx([1, 2, 3, float("nan"), 5, 6, 7, 8], nan_ok=True)
    assert session.asked == asked


@pytest.fixture
def ups(stack: ExitStack) -> tuple[PointValues, SnmpAgent]:
    """A simulated UPS behind our agent, with the texts and counts that NUT asks for."""
    values = PointValues(load_profile("ietf.ups_mib"))
    SimulatedBehaviour(values)
    extra = {
        "1.3.6.1.2.1.1.1.0": "simulated",
        f"{_UPS}.1.1.0": "Acme", f"{_UPS}.1.2.0": "Simulated", f"{_UPS}.1.3.0": "1",
        f"{_UPS}.3.2.0": 3, f"{_UPS}.4.3.0": 3,
    }  # fmt: skip
    user = User("reader", "SHA256", "authpass1", "AES128", "privpass1")
    agent = SnmpAgent(values, extra=extra, user=user)
    agent.start()
    stack.callback(agent.stop)
    return values, agent


@needs_nut
def test_nut_reads_our_simulated_ups(ups: tuple[PointValues, SnmpAgent], tmp_path: Path) -> None:
    """Network UPS Tools' snmp-ups takes the simulated agent for a UPS and reads the same values."""
    values, agent = ups
    values.set("battery.voltage", 53.2)
    (tmp_path / "ups.conf").write_text(
        f"[sim]\ndriver = snmp-ups\nport = 127.0.0.1:{agent.port}\nmibs = ietf\n"
        "community = public\nsnmp_version = v2c\n"
    )
    folders = {name: str(tmp_path) for name in ("NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH")}
    assert _SNMP_UPS is not None
    said = subprocess.run(
        [_SNMP_UPS, "-a", "sim", "-d", "1", *(["-u", "root"] if os.geteuid() == 0 else [])],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | folders,
        check=True,
    ).stdout
    read = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    assert read["ups.mfr"] == "Acme"
    assert read["ups.status"] == "OL"
    assert float(read["battery.voltage"]) == pytest.approx(53.2)
    assert float(read["battery.runtime"]) == 60.0 * (values.get("battery.runtime") or 0.0)
    assert float(read["input.L2.realpower"]) == values.get("power.in.L2")
    assert float(read["output.L3.power.percent"]) == values.get("load.L3")
    assert float(read["input.L1.current"]) == pytest.approx(values.get("current.in.L1"))


@needs_tools
def test_net_snmp_reads_our_simulated_ups(ups: tuple[PointValues, SnmpAgent]) -> None:
    """Snmpget by v3 authPriv, and snmpbulkwalk in order, agree with the simulated values."""
    _, agent = ups
    environment = os.environ | {"MIBS": ""}
    v3 = ["-v3", "-lauthPriv", "-ureader", "-aSHA-256", "-Aauthpass1", "-xAES", "-Xprivpass1"]
    agent_at = f"127.0.0.1:{agent.port}"

    def said(tool: str, *arguments: str) -> str:
        return subprocess.run(
            [tool, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            env=environment,
            check=True,
        ).stdout

    assert said("snmpget", *v3, "-Oqv", agent_at, f".{_UPS}.2.5.0").strip() == "546"
    walked = said("snmpbulkwalk", "-v2c", "-cpublic", "-Oqn", agent_at, f".{_UPS}.2").splitlines()
    assert [line.split()[0] for line in walked] == [f".{_UPS}.2.{k}.0" for k in range(1, 8)]


def test_the_driver_reads_our_agent_by_version_3(
    ups: tuple[PointValues, SnmpAgent], tmp_path: Path
) -> None:
    """Without net-snmp too: authPriv through the engine's own path."""
    _, agent = ups
    target = f"snmp://127.0.0.1:{agent.port}?credentials={_secrets(tmp_path, _READER)}"
    transport = SNMP.transport(SNMP.parse_target(target), load_profile("ietf.ups_mib").transport)
    assert transport.read(1, (Object(f"{_UPS}.2.5.0"),), 2.0) == [546.0]
    transport.close()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "neither community nor credentials"),
        ("community=", "neither community nor credentials"),
        ("community=hidden&version=3", "version '3' is none of 1, 2c"),
        ("community=hidden&port=1", "unknown option 'port'"),
        ("community=hidden&credentials=/x", "both community and credentials"),
        ("credentials=/no/such/file", "No such file"),
        ("community=hidden#x", "is not snmp"),
    ],
)
def test_a_target_that_is_wrong_is_named_without_its_secret(query: str, reason: str) -> None:
    """Each fault is told, the community never."""
    with pytest.raises(TargetError, match=reason) as caught:
        SNMP.parse_target(f"snmp://host?{query}")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (_READER, 0o644, "others than its owner can read it"),
        ("user: [", 0o600, "not YAML"),
        ("password: hidden\n", 0o600, "not a mapping of auth"),
        ("user: u\nauth: SHA3\nauth_key: hiddenhidden\n", 0o600, "auth is none of MD5"),
        ("user: u\nauth: SHA\nauth_key: hidden\n", 0o600, "auth_key has less than 8"),
        ("user: u\nauth: SHA\nauth_key: hiddenhidden\npriv: AES128\n", 0o600, "priv_key has less"),
        ("auth: SHA\nauth_key: hiddenhidden\n", 0o600, "no user"),
        ("community: hidden\nuser: u\n", 0o600, "a community stands alone"),
    ],
)
def test_a_file_of_secrets_that_is_wrong_is_named(
    tmp_path: Path, text: str, mode: int, reason: str
) -> None:
    """Each fault of the file is told, its content never; others must not be able to read it."""
    path = _secrets(tmp_path, text, mode)
    with pytest.raises(TargetError, match=reason) as caught:
        SNMP.parse_target(f"snmp://host?credentials={path}")
    assert "hidden" not in str(caught.value)


def test_a_secret_is_in_no_name_of_a_bus() -> None:
    """Two communities of one agent are two buses, and neither name tells them."""
    first, second = (SNMP.parse_target(f"snmp://h?community={c}") for c in ("hidden1", "hidden2"))
    assert first.bus != second.bus
    assert "hidden" not in f"{first.bus} {first!r}"
    assert first.bus == SNMP.parse_target("snmp://h:161?community=hidden1").bus


def test_without_pysnmp_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that needs the optional library says how to get it."""
    monkeypatch.setitem(sys.modules, "pysnmp", None)
    monkeypatch.delitem(sys.modules, "drivers.protocols.snmp_session", raising=False)
    target = SNMP.parse_target("snmp://host?community=public")
    with pytest.raises(TargetError, match=r"pip install 'dcpi-bmc\[snmp\]'"):
        SNMP.transport(target, load_profile("ietf.ups_mib").transport)
