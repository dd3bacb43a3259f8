"""What follows from what a provider says of a message: its end, or another attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engine import patience
from marketing.channels.provider import Accepted, Permanent, Transient, Unknown, Verdict
from marketing.deliveries.reading import Held
from marketing.deliveries.states import Move

# Codes of providers that are reasons of ours; any other stands in the detail.
REASONS: Final = frozenset(("invalid_address", "suppressed", "rate_limited", "expired"))


@dataclass(frozen=True, slots=True)
class Judgement:
    """Where a message goes; `pause_s` (wall time) is when it is tried again."""

    move: Move
    pause_s: float | None = None


def judge(held: Held, given: Sequence[Verdict], claim: str, now: datetime, *, takes_keys: bool) -> Judgement:
    """Decide what becomes of a message; one that reached any of its addresses is sent."""
    verdict = min(given, key=_rank)
    match verdict:
        case Accepted(message_id=message_id):
            return Judgement(Move(held.id, "sent", was_claim=claim, message_id=message_id[:255], sent_at=now))
        case Permanent(code=code, detail=detail):
            reason = code if code in REASONS else "provider_permanent"
            return Judgement(Move(held.id, "failed", reason, _words(code, detail), was_claim=claim))
        case Unknown(code=code, detail=detail) if not takes_keys:
            return Judgement(Move(held.id, "unknown", "provider_unknown", _words(code, detail), was_claim=claim))
    retry, attempt = held.retry, held.attempts + 1
    if attempt >= retry.attempts or verdict.code in retry.non_retryable:
        gone = ("unknown", "provider_unknown") if isinstance(verdict, Unknown) else ("failed", "provider_unavailable")
        return Judgement(Move(held.id, *gone, _words(verdict.code, verdict.detail), was_claim=claim))
    pause = patience.pause(attempt, retry.backoff.total_seconds(), retry.max_interval.total_seconds())
    if isinstance(verdict, Transient) and verdict.retry_after is not None:
        pause = max(pause, verdict.retry_after.total_seconds())
    detail = f"Attempt {attempt}: {_words(verdict.code, verdict.detail)}"
    # It keeps the status: only somebody with a claim, or an end, takes it further.
    return Judgement(Move(held.id, "claimed", "", detail, was_claim=claim), pause)


# Of several addresses the best news counts; of the bad, what leaves most to hope for.
def _rank(verdict: Verdict) -> int:
    return (Accepted, Transient, Unknown, Permanent).index(type(verdict))


def _words(code: str, detail: str) -> str:
    return f"{code}: {detail}"[:1000].replace("\0", "") if detail else code[:200]
