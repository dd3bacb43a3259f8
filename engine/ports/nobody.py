"""What stands behind each port until an app binds its own adapter."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.code_ports import CodeFailed, Terms
from engine.ports.calls import CallFailed, HttpRequest, HttpResponse
from engine.ports.messages import Conversion, Message, Rehearsed
from engine.ports.people import ProfileChange

JSON = dict[str, Any]


class Nobody:
    """Answers every port with "missing": what stands behind a port until an app binds its own adapter."""

    def fetch_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, Any]:
        """Know nobody."""
        return {}

    def merged_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, str]:
        """Take everybody for who they say they are."""
        return {}

    def changed(self, profile: JSON, change: ProfileChange) -> JSON:
        """Change nothing."""
        return profile

    def change_many(self, tenant_id: str, changes: Sequence[ProfileChange]) -> None:
        """Have nobody to change."""

    def memberships_many(
        self, tenant_id: str, participant_ids: Sequence[str], segment_ids: Sequence[str]
    ) -> Mapping[str, frozenset[str]]:
        """Have nobody in any segment."""
        return {}

    def existing(self, tenant_id: str, names: Sequence[str]) -> frozenset[str]:
        """Have none of them."""
        return frozenset()

    def enqueue_many(self, tenant_id: str, messages: Sequence[Message]) -> Sequence[JSON]:
        """Say nothing, for want of a provider."""
        return [{"status": "skipped", "reason": "no_provider", "channel": message.channel} for message in messages]

    def cancel_many(self, tenant_id: str, delivery_ids: Sequence[str]) -> None:
        """Have nothing to take back."""

    def preview_many(self, tenant_id: str, rehearsed: Sequence[Rehearsed]) -> Sequence[JSON]:
        """Say nothing, for want of a provider."""
        return [{"status": "skipped", "reason": "no_provider"} for _ in rehearsed]

    def states_many(self, tenant_id: str, instance_ids: Sequence[str]) -> Mapping[str, Mapping[str, JSON]]:
        """Know of no message."""
        return {}

    def record_many(self, tenant_id: str, conversions: Sequence[Conversion]) -> None:
        """Count nothing."""

    def fetch(self, tenant_id: str, name: str) -> str | None:
        """Keep no secret."""
        return None

    def call(self, request: HttpRequest) -> HttpResponse:
        """Reach nothing."""
        raise CallFailed("no_http", "nothing is bound to call other systems with", retryable=False)

    def run(self, source: str, names: JSON, terms: Terms) -> Any:
        """Run nothing."""
        raise CodeFailed("no_sandbox", "Nothing is bound to run code in.")

    def fault_in(self, source: str) -> str | None:
        """Find no fault."""
        return None

    def find(self, name: str) -> None:
        """Know no function."""
