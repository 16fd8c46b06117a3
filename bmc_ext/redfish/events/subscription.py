"""A subscription of the kind RedfishEvent: what is wanted, where it goes, and how hard to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bmc_ext.redfish.events.message import without_version
from bmc_ext.redfish.events.outbox import Item

POLICIES = (
    "TerminateAfterRetries", "SuspendRetries", "RetryForever", "RetryForeverWithBackoff",
)  # fmt: skip
FORMATS = ("Event", "MetricReport")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of a subscription (schema EventDestination); an empty one lets all through."""

    format: str = "Event"
    registry_prefixes: tuple[str, ...] = ()
    exclude_registry_prefixes: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    exclude_message_ids: tuple[str, ...] = ()
    resource_types: tuple[str, ...] = ()
    origin_resources: tuple[str, ...] = ()
    subordinate_resources: bool = False
    severities: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    metric_report_definitions: tuple[str, ...] = ()

    def accepts(self, item: Item) -> bool:
        """Whether the subscriber is to get it."""
        facts = item.facts
        if facts["EventFormatType"] != self.format:
            return False
        if self.format == "MetricReport":
            return _among(facts["MetricReportDefinition"], self.metric_report_definitions)
        return (
            self._names_message(facts)
            and _among(facts["ResourceType"], self.resource_types)
            and _among(facts["Severity"], self.severities)
            and _among(facts["EventType"], self.event_types)
            and self._names_origin(facts["OriginResource"])
        )

    def _names_message(self, facts: Mapping[str, Any]) -> bool:
        """RegistryPrefixes and MessageIds add up; the versions in MessageIds do not matter."""
        prefix, key = facts["RegistryPrefix"], without_version(facts["MessageId"])
        if prefix in self.exclude_registry_prefixes or key in map(
            without_version, self.exclude_message_ids
        ):
            return False
        if not self.registry_prefixes and not self.message_ids:
            return True
        return prefix in self.registry_prefixes or key in map(without_version, self.message_ids)

    def _names_origin(self, origin: str | None) -> bool:
        if not self.origin_resources:
            return True
        if origin is None:
            return False
        below = self.subordinate_resources
        return any(
            origin == uri or (below and origin.startswith(f"{uri}/"))
            for uri in self.origin_resources
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """One destination. `headers` are secrets: they are sent with every event and never shown.

    It is told what its `owner` may read, who made it.

    `suspended` is True after the retries of SuspendRetries, or when a client asked for it. With
    `include_origin` its events hold the resource that they are about; it is sent a heartbeat every
    `heartbeat_s`.
    """

    id: str
    destination: str
    context: str | None
    policy: str = "SuspendRetries"
    verify_certificate: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    wanted: Wanted = Wanted()
    suspended: bool = False
    owner: str = ""
    include_origin: bool = False
    heartbeat_s: float | None = None


def _among(value: object, allowed: tuple[str, ...]) -> bool:
    return not allowed or value in allowed
