"""What the engine asks about participants: their profiles, their segments, what they want to hear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

JSON = dict[str, Any]


CONSENT_STATUSES = ("granted", "denied", "expired", "withdrawn")


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """
    What a run makes of a participant's profile: values by dotted path, tags to have and not to have.

    What follows from it outside is caused by the run, `instance_id`.
    """

    participant_id: str
    source: str
    at: datetime
    fields: JSON = field(default_factory=dict)
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    instance_id: str = ""


class ProfileStore(Protocol):
    """Knows participants by more than their id."""

    def fetch_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, JSON]:
        """Give the profiles of those who have one, by id, in one query."""

    def merged_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, str]:
        """Give, for those who turned out to be somebody else, who that is, in one query."""

    def changed(self, profile: JSON, change: ProfileChange) -> JSON:
        """Give the profile as it will be after a change; pure."""

    def change_many(self, tenant_id: str, changes: Sequence[ProfileChange]) -> None:
        """Make the changes in their order, in the caller's transaction; those of unknown participants are skipped."""


class SegmentLookup(Protocol):
    """Knows who is in which segment."""

    def memberships_many(
        self, tenant_id: str, participant_ids: Sequence[str], segment_ids: Sequence[str]
    ) -> Mapping[str, frozenset[str]]:
        """Give, by participant, which of the segments each is in; one who is in none may be left out."""

    def existing(self, tenant_id: str, segment_ids: Sequence[str]) -> frozenset[str]:
        """Tell which of the segments there are."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """
    What a participant has said: `{channel: {topic: bool}}`, and the consent to each topic.

    `opt_in` are the topics for which silence means no. The topic `*` stands for everything on a channel.
    """

    channels: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    consents: Mapping[str, str] = field(default_factory=dict)
    opt_in: frozenset[str] = frozenset()

    def refusal(self, channel: str, topic: str = "") -> str | None:
        """Say why nothing of the topic may be sent there (unsubscribed, no_consent), or None where it may."""
        said = self.channels.get(channel, {})
        if said.get("*") is False or (topic and said.get(topic) is False):
            return "unsubscribed"
        match self.consents.get(topic):
            case "withdrawn":
                return "unsubscribed"
            case "denied" | "expired":
                return "no_consent"
            case "granted":
                return None
        return "no_consent" if topic in self.opt_in and not said.get(topic) else None

    def after(self, change: ProfileChange) -> "Preferences":
        """Give what counts after a change that says something of consents."""
        said = {
            path.removeprefix("consent.").removesuffix(".status"): str(value)
            for path, value in change.fields.items()
            if path.startswith("consent.") and path.endswith(".status")
        }
        return replace(self, consents={**self.consents, **said}) if said else self


class PreferenceLookup(Protocol):
    """Knows what participants want to hear, and where."""

    def fetch_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, Preferences]:
        """Give what each has said, also of those who have said nothing; the same number of queries for any number."""
