"""The listener without login of a sidecar in front of a BMC shows what is ours alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from acme_mockup import write_tree
from e2e.emulator_client import COMMAND, Running, running, wait_for
from e2e.test_aggregated_access import Sides, _at
from e2e.test_serve import free_port
from mockup_bmc import MockupBmc, mockup_bmc
from upstream_bmcs import ACCOUNT

ROOT = "/redfish/v1"


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockupBmc]:
    """The BMC behind."""
    folder = tmp_path_factory.mktemp("bmc")
    write_tree(folder)
    with mockup_bmc(folder) as server:
        yield server


@pytest.fixture(scope="module")
def sides(bmc: MockupBmc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """The sidecar with both listeners, once it knows the BMC."""
    folder, port = tmp_path_factory.mktemp("sidecar"), free_port()
    (folder / "bmc.password").write_text(f"{ACCOUNT.password}\n", encoding="utf-8")
    (folder / "service.yaml").write_text(
        f"""
facility: {{id: bench, rated_power_w: 2.0e+7}}
state_dir: state
loops: [{{id: loop-1}}]
listen: {{aggregated: {{host: 127.0.0.1, port: {port}}}}}
upstream:
  url: {bmc.url}
  ca: {bmc.ca}
  account: {{username: {ACCOUNT.username}, password_file: bmc.password}}
  refresh_s: 1
""",
        encoding="utf-8",
    )
    command = ("serve", "--config", folder / "service.yaml")
    subprocess.run([COMMAND, *command, "--set-password", "admin"], input="bench-secret\n",
                   text=True, check=True, capture_output=True)  # fmt: skip
    with running(*command, "--port", 0) as it:
        it.user, it.password = "admin", "bench-secret"
        wait_for(lambda: it.ask("GET", f"{ROOT}/Systems/1").status == 200, 60, "the BMC is known")
        yield Sides(it, _at(it, port))


def _members(it: Running, collection: str) -> list[str]:
    answer = it.ask("GET", f"{ROOT}/{collection}")
    assert answer.status == 200
    return [member["@odata.id"] for member in answer.body["Members"]]


def test_every_member_that_is_listed_is_answered(sides: Sides) -> None:
    """The BMC's members stand in no collection and no root, and are not there when asked for."""
    for collection in ("Chassis", "Managers"):
        theirs = set(_members(sides.known, collection)) - {f"{ROOT}/{collection}/DCPI"}
        assert theirs
        assert _members(sides.open, collection) == [f"{ROOT}/{collection}/DCPI"]
        for uri in theirs:
            assert sides.open.ask("GET", uri).status == 404
        for uri in _members(sides.open, collection):
            assert sides.open.ask("GET", uri).status == 200
    known, open_ = (it.ask("GET", f"{ROOT}/").body for it in sides)
    assert {"Systems", "Fabrics"} <= known.keys() - open_.keys()
    assert open_["Oem"].keys() == {"DCPI"}
    assert sides.open.ask("GET", f"{ROOT}/Systems").status == 404


def test_strangers_put_no_load_on_the_bmc(sides: Sides, bmc: MockupBmc) -> None:
    """Whatever is asked here, the BMC is asked nothing for it."""
    for uri in ("Systems/1", "Fabrics", "Chassis/Upstream_DCPI", "?$expand=*($levels=3)"):
        sides.open.ask("GET", f"{ROOT}/{uri}")
    assert bmc.asked(within="Fabrics") == []
    assert bmc.asked(within="Thermal") == []
