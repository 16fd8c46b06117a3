"""One BMC of a mockup and one sidecar in front of it, for tests that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from acme_mockup import is_known, write_tree
from mockup_bmc import MockupBmc, mockup_bmc
from served_front import Served, served, wait_for
from upstream_bmcs import sidecar_config


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockupBmc]:
    """The BMC behind."""
    folder = tmp_path_factory.mktemp("bmc")
    write_tree(folder)
    with mockup_bmc(folder) as server:
        yield server


@pytest.fixture(scope="module")
def front(bmc: MockupBmc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The sidecar in front of it, as one account of its."""
    folder = tmp_path_factory.mktemp("sidecar")
    with served(folder, config=sidecar_config(folder, bmc.url, ca=bmc.ca)) as it:
        wait_for(lambda: is_known(it), 20, "the BMC's systems are known")
        yield it
