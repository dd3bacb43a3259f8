"""Preferences, per channel and topic: merged with what is there, each change in the audit."""

from collections.abc import Iterator, Mapping

from engine import clock
from marketing.models import ConsentChange, Customer
from tenants.ids import uuid7

Given = Mapping[str, Mapping[str, bool | None] | None]
Stored = dict[str, dict[str, bool]]
Change = tuple[str, str, bool | None, bool | None]


def merge(customer: Customer, given: Given, *, source: str, actor: str = "") -> None:
    """Merge preferences into those of a customer whose row is locked: null takes one away, or a whole channel."""
    put(customer, overlaid(customer.preferences, given), source=source, actor=actor)


def put(customer: Customer, merged: Stored, *, source: str, actor: str = "") -> None:
    """Let these, and no others, be the preferences of a customer whose row is locked."""
    moved = list(_changes(customer.preferences, merged))
    if not moved:
        return
    now = clock.now()
    customer.preferences, customer.updated_at = merged, now
    customer.save(update_fields=["preferences", "updated_at"])
    ConsentChange.objects.bulk_create(
        ConsentChange(
            id=uuid7(),
            tenant_id=customer.tenant_id,
            participant_id=customer.external_id,
            channel=channel,
            topic=topic,
            before=_WORDS[before],
            after=_WORDS[after],
            source=source[:255],
            actor=actor[:255],
            at=now,
        )
        for channel, topic, before, after in moved
    )


def overlaid(stored: Mapping[str, Mapping[str, bool]], given: Given) -> Stored:
    """Give what is stored with what is given laid over it; null takes away."""
    found: Stored = {channel: dict(topics) for channel, topics in stored.items()}
    for channel, topics in given.items():
        if topics is None:
            found.pop(channel, None)
            continue
        below = found.setdefault(channel, {})
        for topic, wanted in topics.items():
            if wanted is None:
                below.pop(topic, None)
            else:
                below[topic] = wanted
    return {channel: topics for channel, topics in found.items() if topics}


def _changes(before: Stored, after: Stored) -> Iterator[Change]:
    for channel in {**before, **after}:
        was, becomes = before.get(channel, {}), after.get(channel, {})
        for topic in {**was, **becomes}:
            if was.get(topic) != becomes.get(topic):
                yield channel, topic, was.get(topic), becomes.get(topic)


# As the audit writes it.
_WORDS = {None: "", True: "true", False: "false"}
