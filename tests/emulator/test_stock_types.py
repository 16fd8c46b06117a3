"""What stock sushy-tools serves is still served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sushy_tools.emulator import main

from bmc_ext.redfish.resources import all_resources
from emulator.host import SushyHost

CAUSES = Path(__file__).parents[1] / "conformance" / "dmtf" / "expected.yaml"


def _links(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "@odata.id" and isinstance(inner, str):
                yield inner.partition("#")[0]
            yield from _links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _links(inner)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The types of all that stock sushy-tools with its fake driver links to and can serve."""
    application = main.app
    state = str(tmp_path_factory.mktemp("stock"))
    application.configure(
        extra_config={"SUSHY_EMULATOR_FAKE_DRIVER": True, "SUSHY_EMULATOR_STATE_DIR": state}
    )
    client = application.test_client()
    todo, seen, types = ["/redfish/v1/"], set(), set()
    while todo:
        uri = todo.pop()
        if uri in seen:
            continue
        seen.add(uri)
        answer = client.get(uri)
        if answer.status_code == 200 and answer.is_json:
            types.add(_name(answer.json["@odata.type"]))
            todo += _links(answer.json)
    return types


def _name(odata_type: str) -> str:
    return odata_type.lstrip("#").partition(".")[0]


def test_every_type_of_stock_sushy_is_served_or_its_absence_explained(
    stock: set[str], tmp_path: Path
) -> None:
    """None is lost without a cause, and no cause is left of what is served again."""
    host = SushyHost(tmp_path / "host")
    try:
        served: set[str] = {_name(one) for one in (*host.types, *all_resources().types)}
    finally:
        host.close()
    causes: dict[str, Any] = yaml.safe_load(CAUSES.read_text(encoding="utf-8"))["stock_types"]
    assert len(stock) >= 15
    assert stock - served == set(causes)
