"""Which resource a path names."""

from __future__ import annotations

from typing import Any

import pytest

from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Registry, Routes


def _registry(*uris: str) -> Registry:
    routes = Routes()
    for uri in uris:

        @routes.get(uri, "Login")
        def nothing(context: Context, request: Request) -> dict[str, Any]:
            return {}

    return Registry([routes])


REGISTRY = _registry(
    "/v1", "/v1/Chassis/DCPI", "/v1/Chassis/DCPI/Sensors/{sensor}", "/v1/Chassis/{id}/Power",
    "/v1/Chassis/{id}/Sensors/{sensor}/Log", "/v1/Chassis/{id}/Logs/{log:path}", "/v1/{host:path}",
    "/v1/Chassis/DCPI/Sensors/all/Log", "/v1/Chassis/DCPI/Sensors/one",
    "/v1/Chassis/DCPI/Files/{name:path}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "uri", "parameters"),
    [
        ("/v1/", "/v1", {}),
        ("/v1/Chassis/DCPI", "/v1/Chassis/DCPI", {}),
        ("/v1/Chassis/DCPI/Sensors/a", "/v1/Chassis/DCPI/Sensors/{sensor}", {"sensor": "a"}),
        ("/v1/Chassis/DCPI/Sensors/all", "/v1/Chassis/DCPI/Sensors/{sensor}", {"sensor": "all"}),
        ("/v1/Chassis/DCPI/Sensors/all/Log", "/v1/Chassis/DCPI/Sensors/all/Log", {}),
        ("/v1/Chassis/DCPI/Sensors/one", "/v1/Chassis/DCPI/Sensors/one", {}),
        ("/v1/Chassis/DCPI/Files/a", "/v1/Chassis/DCPI/Files/{name:path}", {"name": "a"}),
        ("/v1/Chassis/DCPI/Power", "/v1/Chassis/{id}/Power", {"id": "DCPI"}),
        (
            "/v1/Chassis/DCPI/Sensors/a/Log",
            "/v1/Chassis/{id}/Sensors/{sensor}/Log",
            {"id": "DCPI", "sensor": "a"},
        ),
        ("/v1/Chassis/x/Logs/a/b", "/v1/Chassis/{id}/Logs/{log:path}", {"id": "x", "log": "a/b"}),
        ("/v1/Chassis/DCPI/Sensors", "/v1/{host:path}", {"host": "Chassis/DCPI/Sensors"}),
        ("/v1/Chassis//Power", "/v1/{host:path}", {"host": "Chassis//Power"}),
        ("/v1/Systems/one", "/v1/{host:path}", {"host": "Systems/one"}),
    ],
)
def test_names_win_over_parameters_and_both_over_the_rest(
    path: str, uri: str, parameters: dict[str, str]
) -> None:
    """Where the more exact way leads nowhere, the next one is tried."""
    found = REGISTRY.find(path)
    assert found is not None
    assert (found[0].uri, found[1]) == (uri, parameters)


def test_a_path_outside_names_nothing() -> None:
    """There is no resource for it."""
    assert REGISTRY.find("/v2") is None
