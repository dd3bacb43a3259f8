"""What providers report of messages: into statuses, suppressions and events, in one transaction, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import transaction

from engine import clock, inbox
from engine.connections import execute
from engine.event_form import Incoming
from marketing import depths
from marketing.channels.provider import Report
from marketing.customers import erasure
from marketing.deliveries import suppressions, telling
from marketing.deliveries.states import PATHS
from marketing.deliveries.suppressions import New

JSON = dict[str, Any]

STATUSES: Final = frozenset(("sent", "delivered", "opened", "clicked", "bounced", "complained", "failed"))
# A person's word at the provider: no status of the message, but an end to those that would follow.
UNSUBSCRIBED: Final = "unsubscribed"
# So many soft bounces of one address within the window are as good as a hard one.
SOFT_BOUNCES: Final = 3
SOFT_WINDOW: Final = timedelta(days=30)
OLDEST: Final = timedelta(days=3650)
# Providers repeat themselves, and some are made to; a message remembers so much.
LONGEST_HISTORY: Final = 200

# Finds messages by our id or by the provider's, and locks them in the order of their ids.
FIND = """
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(records)s::jsonb) AS n(
               place int, provider text, message_id text, delivery_id uuid)
    ), found AS MATERIALIZED (
        SELECT d.id, n.place FROM given n JOIN deliveries d ON d.id = n.delivery_id AND d.tenant_id = %(tenant)s
        UNION
        SELECT d.id, n.place FROM given n JOIN deliveries d ON d.tenant_id = %(tenant)s AND d.provider = n.provider
           AND d.provider_message_id = n.message_id AND d.provider_message_id <> ''
         WHERE n.delivery_id IS NULL
    ), locked AS MATERIALIZED (
        SELECT d.* FROM deliveries d WHERE d.id IN (SELECT id FROM found) ORDER BY d.id FOR NO KEY UPDATE
    )
    SELECT f.place, d.id, d.status, d.history, d.channel, d.recipient, d.participant_id, d.flow_id, d.instance_id,
           d.node_id, d.template_id, d.awaited
      FROM locked d JOIN found f ON f.id = d.id
"""
# The rows are locked, and where they go has been found out from what they were.
WRITE = """
    UPDATE deliveries d
       SET status = n.status, reason = coalesce(n.reason, d.reason), history = d.history || n.added,
           sent_at = CASE WHEN n.status IN ('queued', 'claimed') THEN d.sent_at ELSE coalesce(d.sent_at, %(now)s) END,
           provider_message_id = coalesce(nullif(d.provider_message_id, ''), n.message_id, '')
      FROM jsonb_to_recordset(%(records)s::jsonb) AS n(id uuid, status text, reason text, added jsonb, message_id text)
     WHERE d.id = n.id
"""
COUNT_SOFT = """
    SELECT d.channel, d.recipient FROM deliveries d
     WHERE d.tenant_id = %(tenant)s AND d.status = 'bounced' AND d.channel = ANY(%(channels)s)
       AND d.recipient = ANY(%(recipients)s) AND d.reason = 'soft_bounce' AND d.created_at > %(since)s
     GROUP BY 1, 2 HAVING count(*) >= %(enough)s
"""


@dataclass(slots=True)
class _Seen:
    # A message as it is found, and what the reports make of it.
    id: str
    status: str
    history: list[JSON]
    channel: str
    recipient: str
    participant_id: str
    flow_id: str | None
    instance_id: str | None
    node_id: str
    template_id: str
    awaited: bool
    reason: str | None = None
    message_id: str | None = None
    added: list[JSON] = field(default_factory=list)
    news: list[Report] = field(default_factory=list)


def record_many(tenant_id: UUID | str, reports: Sequence[Report]) -> int:
    """
    Record what a provider says of a tenant's messages; give how many of the reports were news.

    A status takes those before it along, and one that comes too late for an arrow is still noted and told. What is said
    twice counts once. Messages that are not the tenant's are passed over.
    """
    known = [each for each in reports if each.status in STATUSES or each.status == UNSUBSCRIBED]
    if not known:
        return 0
    with transaction.atomic():
        seen = _find(tenant_id, known)
        moved = [each for each in seen if each.news]
        if moved:
            _write(moved)
            _suppress(tenant_id, moved)
            _tell(tenant_id, moved)
    return sum(len(each.news) for each in moved)


def as_id(value: Any) -> str | None:
    """Give an id that somebody sent, or None for what cannot be one."""
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _find(tenant_id: UUID | str, reports: Sequence[Report]) -> list[_Seen]:
    records = [
        {
            "place": place,
            "provider": each.provider,
            "message_id": each.message_id.replace("\0", ""),
            "delivery_id": as_id(each.delivery_id),
        }
        for place, each in enumerate(reports)
    ]
    rows = execute(FIND, {"tenant": tenant_id, "records": orjson.dumps(records).decode()}).fetchall()
    seen: dict[str, _Seen] = {}
    for place, delivery_id, status, history, *facts in sorted(rows, key=lambda row: int(row[0])):
        message = seen.setdefault(delivery_id, _Seen(delivery_id, status, orjson.loads(history), *facts))
        _apply(message, reports[place])
    return list(seen.values())


# What the world says comes in any order: each status is noted once, and moves the message where there is a way.
def _apply(message: _Seen, report: Report) -> None:
    message.message_id = message.message_id or report.message_id[:255] or None
    if _was_said(message, report) or len(message.history) >= LONGEST_HISTORY:
        return
    entry: JSON = {"status": report.status, "at": clock.now().isoformat(), "detail": ""}
    # Of whom was erased it is noted what became of the message, and no word of theirs.
    if not message.participant_id.startswith(erasure.PREFIX):
        entry["detail"] = report.detail[:500]
        if url := _url(report):
            entry["url"] = url
    message.history.append(entry)
    message.added.append(entry)
    message.news.append(report)
    if report.status != message.status and (message.status, report.status) in PATHS:
        message.status = report.status
        message.reason = _reason(report)


def _was_said(message: _Seen, report: Report) -> bool:
    said = [entry for entry in message.history if entry.get("status") == report.status]
    url = _url(report)
    return bool(said) and (not url or any(entry.get("url") == url for entry in said))


def _reason(report: Report) -> str | None:
    match report.status:
        case "bounced":
            return "hard_bounce" if report.hard else "soft_bounce"
        case "complained":
            return "complaint"
        case "failed":
            return "provider_permanent"
        case _:
            return None


def _write(moved: Sequence[_Seen]) -> None:
    records = [
        {
            "id": each.id,
            "status": each.status,
            "reason": each.reason,
            "added": each.added,
            "message_id": each.message_id,
        }
        for each in moved
    ]
    execute(WRITE, {"records": orjson.dumps(records).decode(), "now": clock.now()})


def _suppress(tenant_id: UUID | str, moved: Sequence[_Seen]) -> None:
    new = [New(each.channel, each.recipient, *_why(each, report)) for each in moved for report in _final(each)]
    soft = [each for each in moved if each.recipient and each.reason == "soft_bounce"]
    if soft:
        asked = {
            "tenant": tenant_id,
            "channels": sorted({each.channel for each in soft}),
            "recipients": sorted({each.recipient for each in soft}),
            "since": clock.now() - SOFT_WINDOW,
            "enough": SOFT_BOUNCES,
        }
        new += [New(channel, address, "soft_bounces") for channel, address in execute(COUNT_SOFT, asked).fetchall()]
    suppressions.suppress_many(tenant_id, new)


def _final(message: _Seen) -> Iterator[Report]:
    for report in message.news:
        if report.hard or report.status in {"complained", UNSUBSCRIBED}:
            yield report


def _why(message: _Seen, report: Report) -> tuple[str, JSON]:
    reasons = {"bounced": "hard_bounce", "complained": "complaint", UNSUBSCRIBED: "unsubscribed"}
    said = {"delivery_id": message.id, "provider": report.provider, "detail": report.detail[:500]}
    return reasons.get(report.status, "invalid_address"), said


def _tell(tenant_id: UUID | str, moved: Sequence[_Seen]) -> None:
    told = [
        (each, report)
        for each in moved
        for report in each.news
        if (report.status != "sent" or each.awaited) and not each.participant_id.startswith(erasure.PREFIX)
    ]
    if not told:
        return
    known = depths.of_runs(each.instance_id for each, _ in told)
    inbox.receive(tenant_id, [_event(each, report, known.get(each.instance_id or "", 0) + 1) for each, report in told])


def _event(message: _Seen, report: Report, depth: int) -> Incoming:
    facts = {
        "delivery_id": message.id,
        "channel": message.channel,
        "status": report.status,
        "reason": _reason(report) or "",
        "flow_id": message.flow_id,
        "instance_id": message.instance_id,
        "node_id": message.node_id,
        "template_id": message.template_id,
        "provider": report.provider,
    }
    return Incoming(
        participant_id=message.participant_id,
        event_type=f"{message.channel}_{report.status}",
        data={**report.data, **facts},
        event_id=_event_id(message, report),
        occurred_at=_occurred_at(report.at),
        source=telling.SOURCE,
        causation_depth=depth,
    )


# Each link that is clicked is an event of its own; the first of them is the one that says that the message was clicked.
def _event_id(message: _Seen, report: Report) -> str:
    plain = telling.event_id_of(message.id, report.status)
    first = next(entry for entry in message.history if entry.get("status") == report.status)
    url = _url(report)
    if not url or first.get("url") == url:
        return plain
    return f"{plain}:{sha256(url.encode()).hexdigest()[:16]}"


# Providers tell wall time; how long ago it was holds for engine time too, and nothing happens in the future.
def _occurred_at(at: datetime | None) -> datetime | None:
    if at is None or at.tzinfo is None:
        return None
    return clock.now() - min(max(timedelta(), datetime.now(UTC) - at), OLDEST)


def _url(report: Report) -> str:
    url = report.data.get("url")
    return url[:2_048] if isinstance(url, str) and report.status == "clicked" else ""
