"""DcpiWorkload as it is rendered."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

import schemas
from bmc_ext.domain.workload import Announcement, Decision, WorkloadRecord
from bmc_ext.redfish.resources.workload import COLLECTION, _body


@pytest.mark.parametrize("workload_id", ["train-7", "a/b", "", "\x1b[2J"])
def test_identity_of_the_sender_is_shown_as_it_came(workload_id: str) -> None:
    """WorkloadId is what was announced, whatever the Id is, and the resource fits its schema."""
    record = WorkloadRecord(
        Announcement(workload_id, 1e6, 0.0, 1e6),
        Decision("rejected", (), 0.0, None),
        1_800_000_000.0,
        "rejected",
    )
    body = _body(record)
    assert body["WorkloadId"] == workload_id
    assert body["Id"] == record.resource_id
    kind = "DcpiWorkload.v1_0_0"
    schema = json.loads(schemas.path(f"redfish/{kind}.json").read_text(encoding="utf-8"))
    resource = {
        "@odata.type": f"#{kind}.DcpiWorkload",
        "@odata.id": f"{COLLECTION}/{record.resource_id}",
    }
    Draft202012Validator(schema).validate(resource | body)
