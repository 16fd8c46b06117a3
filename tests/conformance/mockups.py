"""The emulator's tree under mockups/: captured anew by `make mockups`, compared by a test.

Captured is a campus of one hall with one loop, which has a workload announced: the smallest that
shows every type. What depends on the machine that captures is taken out.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from conformance.dmtf.validators import wait_until_ok
from e2e.emulator_client import COMMAND, Running, emulator, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
COMMITTED = ROOT / "mockups" / "campus"

_REPORT = "/redfish/v1/TelemetryService/MetricReports"
_REALTIME = "/redfish/v1/dcpi/power/realtime"
_COMES_AND_GOES = {"Conditions"}
"""Properties of which a resource may have more or fewer from one moment to the next."""


@contextlib.contextmanager
def small_campus(folder: Path) -> Iterator[Running]:
    """The emulator that is captured, once it knows all its readings."""
    shipped = resources.files("emulator.plant").joinpath("facilities/campus-250mw.yaml")
    text, changed = re.subn(
        r"(?m)^  (count|per_hall): \d+$", r"  \1: 1", shipped.read_text("utf-8")
    )
    assert changed == 2
    facility = folder / "small-campus.yaml"
    facility.write_text(text, encoding="utf-8")
    with emulator(folder / "state", "--facility", facility) as bmc:
        for uri in ("power/realtime", "thermal/status"):
            wait_until_ok(bmc, f"/redfish/v1/dcpi/{uri}")
        _announce(bmc)
        wait_for(lambda: bmc.get(_REPORT)["Members"], 60, "the first metric report")
        wait_for(lambda: bmc.get(_REALTIME)["Feeds"][0]["ThreeSecondAggregate"], 60, "3 s")
        yield bmc


def _announce(bmc: Running) -> None:
    shown = [COMMAND, "workload", "example", "--now", "--id", "training-1", "--peak-mw", "1"]
    message = subprocess.run(shown, capture_output=True, check=True).stdout
    answer = bmc.ask("POST", "/dcpi/workload/announce", raw=message)
    assert answer.status == 200, answer


def capture(bmc: Running, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `dcpi-bmc mockup` says, whatever its exit status; the tree is in `output`."""
    login = ("--user", bmc.user, "--password", bmc.password, "--insecure")
    words = [COMMAND, "mockup", f"https://127.0.0.1:{bmc.port}", "--output", output, *login]
    return subprocess.run([*words, *options], capture_output=True, text=True, check=False)


def without_machine(tree: Path) -> None:
    """Take out the network interfaces that only this machine has, and the port that was free."""
    protocol = tree / "redfish/v1/Managers/DCPI/NetworkProtocol/index.json"
    text = protocol.read_text(encoding="utf-8")
    protocol.write_text(re.sub(r'"Port": \d{4,5}\b', '"Port": 8443', text), encoding="utf-8")
    for folder in tree.glob("redfish/v1/Managers/*/EthernetInterfaces"):
        for member in folder.iterdir():
            if member.is_dir() and member.name != "lo":
                shutil.rmtree(member)
        path = folder / "index.json"
        collection = json.loads(path.read_text(encoding="utf-8"))
        kept = [link for link in collection["Members"] if link["@odata.id"].endswith("/lo")]
        collection |= {"Members": kept, "Members@odata.count": len(kept)}
        path.write_text(json.dumps(collection, indent=2) + "\n", encoding="utf-8")


def differences(old: Path, new: Path) -> tuple[list[str], list[str]]:
    """What a client of the old tree would miss in the new one, and what is new there."""
    files = {path.relative_to(old) for path in old.rglob("index.*")}
    found = {path.relative_to(new) for path in new.rglob("index.*")}
    missing = [f"/{path.parent}: gone" for path in sorted(files - found)]
    added = [f"/{path.parent}" for path in sorted(found - files)]
    for path in sorted(files & found):
        if path.suffix == ".json":
            before, after = (json.loads((tree / path).read_text("utf-8")) for tree in (old, new))
            for text, kind in _compare(before, after):
                (missing if kind else added).append(f"/{path.parent}: {text} {kind}".rstrip())
    return missing, added


def _compare(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Properties that are gone or of another type, and new ones with an empty kind."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            where = f"{name}/{key}".lstrip("/")
            if key in _COMES_AND_GOES:
                continue
            if key not in new:
                yield where, "gone"
            elif key not in old:
                yield where, ""
            else:
                yield from _compare(old[key], new[key], where)
    elif isinstance(old, list) and isinstance(new, list):
        for number, (before, after) in enumerate(_paired(old, new)):
            yield from _compare(before, after, f"{name}/{number}")
    elif _kind(old) != _kind(new) and None not in (old, new):
        yield name, f"was {_kind(old)} and is {_kind(new)}"


def _paired(old: list[Any], new: list[Any]) -> list[tuple[Any, Any]]:
    """Entries of two arrays by their Entity, as a privilege map has it, else by their places."""
    known = {one["Entity"]: one for one in new if isinstance(one, dict) and "Entity" in one}
    if not known:
        return list(zip(old, new, strict=False))
    return [(one, known.get(one["Entity"], {})) for one in old]


def _kind(value: Any) -> str:
    """The name of its JSON type; a whole number is a number like any other."""
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return kinds.get(type(value), "an array" if isinstance(value, list) else "an object")


def _unknown(tree: Path) -> list[str]:
    """The feeds' sensors that were captured in a moment without a reading."""
    sensors = tree.glob("redfish/v1/Chassis/DCPI/Sensors/Feed_hall_*/index.json")
    return [path.parent.name for path in sensors if json.loads(path.read_text())["Reading"] is None]


def main() -> int:
    """Capture the tree anew; 1 where it is not whole, however often it is tried.

    Whole is a capture in which all feeds have readings, and that has no more and no fewer
    properties than the one before it: some come only seconds after the start.
    """
    with tempfile.TemporaryDirectory() as name, small_campus(Path(name)) as bmc:
        before = COMMITTED
        for attempt in range(20):
            tree = Path(name) / f"tree-{attempt}"
            done = capture(bmc, tree, "--stable")
            if done.returncode != 0:
                print(done.stderr, file=sys.stderr)
                return 1
            without_machine(tree)
            if not _unknown(tree) and differences(before, tree) == ([], []):
                break
            before = tree
        else:
            print(f"no whole capture: {differences(before, tree)} {_unknown(tree)}")
            return 1
        missing, added = differences(COMMITTED, tree)
        print("\n".join([*missing, *(f"{text}: new" for text in added)]))
        shutil.rmtree(COMMITTED, ignore_errors=True)
        shutil.copytree(tree, COMMITTED)
    print(done.stdout.replace(str(tree), str(COMMITTED)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
