"""What the engine asks of the world outside: protocols, and the bundle of those who answer."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from engine.code_ports import CodeFailed, FunctionLookup, Sandbox, Terms
from engine.message_caps import MessageCaps, NoCaps
from engine.signatures import Scheme

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


@dataclass(frozen=True, slots=True)
class Message:
    """
    One thing to say to one participant; `key` is the same however often it is handed over.

    `payload` has what its node says (engine.nodes.sending): the template or the content, vars, class, topic and so on.
    `may_repeat`: it may have been queued already, by an attempt that died before it was recorded.
    """

    key: str
    instance_id: str
    node_id: str
    participant_id: str
    channel: str
    payload: JSON = field(default_factory=dict)
    delivery_id: str = ""
    flow_id: str = ""
    at: datetime | None = None
    may_repeat: bool = False


class MessageSender(Protocol):
    """Says things to participants."""

    def enqueue_many(self, tenant_id: str, messages: Sequence[Message]) -> Sequence[JSON]:
        """Queue messages durably, in the caller's transaction; give the result of each, in order."""

    def cancel_many(self, tenant_id: str, delivery_ids: Sequence[str]) -> None:
        """Take back what has not been handed over yet, in the caller's transaction: its run was ended from outside."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """
    A message of a rehearsal, and what is known when it would be queued.

    `quiet_hours` are those of the graph's settings; `zone` is that of participants who have none.
    """

    message: Message
    at: datetime
    participant: JSON | None
    preferences: Preferences | None
    entry: JSON
    run: JSON
    quiet_hours: Any = None
    zone: str = "UTC"
    is_made_up: bool = True


class MessagePreview(Protocol):
    """Knows how messages would look."""

    def preview_many(self, tenant_id: str, rehearsed: Sequence[Rehearsed]) -> Sequence[JSON]:
        """Give what differs of each from a message that is sent at once (its status, its parts), and leave no trace."""


class DeliveryLookup(Protocol):
    """Knows what became of messages."""

    def states_many(self, tenant_id: str, instance_ids: Sequence[str]) -> Mapping[str, Mapping[str, JSON]]:
        """Give `{state, opened, clicked, reason}` by instance and node."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """
    A goal reached; recorded once per instance and name.

    `facts` are what is known of it: `value` (a decimal as text), `currency`, `variant`, `metadata`. `attribution` says
    which message it is put down to, as in the settings of a goal; `holdout`: to none, the participant was kept out.
    """

    instance_id: str
    flow_id: str
    version: int
    participant_id: str
    name: str
    at: datetime
    attribution: str
    facts: JSON = field(default_factory=dict)


class ConversionSink(Protocol):
    """Counts goals."""

    def record_many(self, tenant_id: str, conversions: Sequence[Conversion]) -> None:
        """Record conversions, in the caller's transaction; a repeated one fills in what was not known."""


class SecretLookup(Protocol):
    """Knows the tenant's secrets."""

    def fetch(self, tenant_id: str, name: str) -> str | None:
        """Give a secret's value, or None when there is none of this name."""

    def existing(self, tenant_id: str, names: Sequence[str]) -> frozenset[str]:
        """Tell which of the secrets there are."""


@dataclass(frozen=True, slots=True)
class Signing:
    """How a request is to be signed, when it is sent."""

    scheme: Scheme
    secret: str = field(repr=False)
    message_id: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One call; headers may hold secrets and are not shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    timeout: timedelta = timedelta(seconds=30)
    max_response: int = 65_536
    signing: Signing | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back, whatever its status; `body` ends where `max_response` does, and `cut` says so."""

    status: int
    body: bytes = b""
    cut: bool = False
    retry_after: timedelta | None = None


class CallFailed(Exception):
    """No response came; `sent`: the request may have had its effect, `retryable`: another try may succeed."""

    def __init__(self, code: str, detail: str, *, sent: bool = False, retryable: bool = True) -> None:
        """Name the situation."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.sent = sent
        self.retryable = retryable


class HttpCaller(Protocol):
    """Calls other systems."""

    def call(self, request: HttpRequest) -> HttpResponse:
        """Give the response, without following redirects; raise CallFailed when none came."""


class Busy(Exception):
    """No hand is free for work of this kind: it is put off, and the attempt does not count."""


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


_NOBODY = Nobody()


@dataclass(frozen=True, slots=True)
class Ports:
    """Who answers each port."""

    profiles: ProfileStore = _NOBODY
    segments: SegmentLookup = _NOBODY
    preferences: PreferenceLookup = _NOBODY
    messages: MessageSender = _NOBODY
    previews: MessagePreview = _NOBODY
    deliveries: DeliveryLookup = _NOBODY
    conversions: ConversionSink = _NOBODY
    secrets: SecretLookup = _NOBODY
    http: HttpCaller = _NOBODY
    caps: MessageCaps = field(default_factory=NoCaps)
    sandbox: Sandbox = _NOBODY
    functions: FunctionLookup = _NOBODY


@dataclass(slots=True)
class _Binding:
    ports: Ports = field(default_factory=Ports)


_binding = _Binding()


def bound() -> Ports:
    """Give the ports of this process."""
    return _binding.ports


def bind(**adapters: Any) -> Ports:
    """Put adapters behind some of the ports, when an app starts or a test does; give the bundle as it was before."""
    before = _binding.ports
    _binding.ports = replace(before, **adapters)
    return before


@contextmanager
def binding(**adapters: Any) -> Iterator[Ports]:
    """Bind for the time of a block; for tests."""
    before = bind(**adapters)
    try:
        yield _binding.ports
    finally:
        _binding.ports = before
