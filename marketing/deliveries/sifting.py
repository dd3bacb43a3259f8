"""Whether a message may go out now: asked at the last moment, of a whole group at once, in one fixed order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from engine.execution import program
from marketing import departures, windows
from marketing.consent.lookup import StoredPreferences
from marketing.deliveries import exits, suppressions
from marketing.deliveries.reading import Held
from marketing.deliveries.states import Move

JSON = dict[str, Any]

TRANSACTIONAL: Final = "transactional"
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f<>,;]{1,64}@[^@\s\x00-\x1f<>,;]{1,255}")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()./-]{3,30}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message does not go out: for good, or (with `due_at`, engine time) until then."""

    status: str
    reason: str
    detail: str = ""
    due_at: datetime | None = None

    def of(self, held: Held) -> Move:
        """What becomes of the message; one that rests stays what it is."""
        status = held.status if self.due_at is not None else self.status
        return Move(held.id, status, self.reason, self.detail, was_claim=held.claim, due_at=self.due_at)


Refusals = dict[str, Refusal]
Check = Callable[[str, Sequence[Held], datetime], Refusals]


def sift(tenant_id: str, held: Sequence[Held], now: datetime) -> tuple[list[Held], list[tuple[Held, Refusal]]]:
    """Give those that may go out, with their recipients, and the others with what keeps them."""
    fit, refused = list(held), []
    for check in _CHECKS:
        found = check(tenant_id, fit, now) if fit else {}
        refused += [(each, found[each.id]) for each in fit if each.id in found]
        fit = [each for each in fit if each.id not in found]
    return fit, refused


# An end from outside takes back what is queued; what was being tried again at that moment is found here.
def _runs(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    return {
        each.id: Refusal("cancelled", "run_ended", "Its run was ended before it was sent.")
        for each in held
        if each.run_status == "exited" and each.exit_reason != "error" and each.resend_of is None
    }


def _people(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    gone = ("deleting", "erased")
    return {each.id: Refusal("cancelled", "participant_deleted") for each in held if each.state in gone}


def _expiry(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    late = (each for each in held if each.expires_at is not None and each.expires_at <= now)
    return {each.id: Refusal("skipped", "expired", f"It was to be sent by {each.expires_at}.") for each in late}


def _exits(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    left = exits.left_many(tenant_id, [each for each in held if each.resend_of is None])
    return {key: Refusal("cancelled", exits.REASON, "Its participant has left the flow's segment.") for key in left}


def _preferences(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    asked = [each for each in held if each.message_class != TRANSACTIONAL]
    if not asked:
        return {}
    said = StoredPreferences().fetch_many(tenant_id, sorted({each.participant_id for each in asked}))
    reasons = ((each.id, said[each.participant_id].refusal(each.channel, each.topic)) for each in asked)
    return {key: Refusal("skipped", reason) for key, reason in reasons if reason is not None}


def _addresses(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    refused = {}
    for each in held:
        each.recipients = list(_recipients(each))
        if not each.recipients:
            refused[each.id] = Refusal("skipped", "no_address", f"There is no address for {each.channel}.")
        elif not any(_is_address(each.channel, address) for address in each.recipients):
            refused[each.id] = Refusal("failed", "invalid_address", "This is no address.")
    return refused


def _suppressions(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    asked = sorted({(each.channel, address) for each in held for address in each.recipients})
    if not (found := suppressions.suppressed(tenant_id, asked)):
        return {}
    for each in held:
        each.recipients = [address for address in each.recipients if (each.channel, address) not in found]
    return {each.id: Refusal("skipped", "suppressed") for each in held if not each.recipients}


def _caps(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    return {key: Refusal("skipped", "capped") for key in departures.exceeded_many(tenant_id, held)}


def _quiet_hours(tenant_id: str, held: Sequence[Held], now: datetime) -> Refusals:
    refused = {}
    for each in held:
        compiled = each.program
        if compiled is None or compiled.settings.quiet_hours is None:
            continue
        rest = windows.closed(
            compiled.settings.quiet_hours,
            channel=each.channel,
            message_class=each.message_class,
            zone=windows.zone_for((each.profile or {}).get("timezone"), program.zone_of(compiled, tenant_id)),
            now=now,
            queued_at=each.created_at,
        )
        if rest is not None:
            refused[each.id] = _resting(rest, each.expires_at)
    return refused


# Whoever would be dropped before the quiet hours end need not wait for it.
def _resting(rest: windows.Closed, expires_at: datetime | None) -> Refusal:
    if rest.on_closed == "skip":
        return Refusal("skipped", "quiet_hours", "It came in quiet hours.")
    last = min(rest.drop_at, expires_at) if expires_at is not None else rest.drop_at
    if rest.opens_at > last:
        return Refusal("skipped", "expired", "Quiet hours last longer than it may wait.")
    return Refusal("queued", "quiet_hours", f"Quiet hours last until {rest.opens_at.isoformat()}.", rest.opens_at)


_CHECKS: Final[tuple[Check, ...]] = (
    _runs,
    _people,
    _expiry,
    _exits,
    _preferences,
    _addresses,
    _suppressions,
    _caps,
    _quiet_hours,
)


def _recipients(held: Held) -> Iterable[str]:
    profile = held.profile
    if profile is None:
        return []
    match held.channel:
        case "email":
            found = [profile.get("email")]
        case "sms" | "whatsapp":
            found = [profile.get("phone")]
        case "push":
            found = list(held.tokens)
        case _:
            found = [profile["external_id"]]
    return [address for address in found if address]


def _is_address(channel: str, address: str) -> bool:
    match channel:
        case "email":
            return _EMAIL.fullmatch(address) is not None
        case "sms" | "whatsapp":
            return _PHONE.fullmatch(address) is not None
        case _:
            return True
