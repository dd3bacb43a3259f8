"""From what was queued to what is sent: coupons are given, links signed, variables filled in; for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine import clock
from engine.moments import iso
from engine.nodes.message_vars import Resolved
from marketing.coupons import pools
from marketing.coupons.pools import Wanted
from marketing.links import addresses
from marketing.links.tokens import Purpose, Ticket
from marketing.templates import content as wordings
from marketing.templates.content import Content
from marketing.templates.errors import CannotRender

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before its variables are filled in; `key` is the same at every attempt."""

    key: str
    participant_id: str
    content: Content
    resolved: Resolved = field(default_factory=Resolved)
    topic: str = ""
    locale: str = ""
    participant: JSON | None = None
    entry: JSON = field(default_factory=dict)
    event: JSON | None = None
    run: JSON = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it is sent."""

    parts: dict[str, str]
    locale: str
    unsubscribe_url: str

    @property
    def headers(self) -> dict[str, str]:
        """What lets mail programs show a button to unsubscribe (RFC 8058)."""
        return {
            "List-Unsubscribe": f"<{self.unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }


def compose_many(tenant_id: str, drafts: Sequence[Draft]) -> list[Letter | CannotRender]:
    """
    Write messages; give, in order, each letter or why there is none.

    Codes are given in the caller's transaction, in the same number of statements for any number of drafts, and none at
    all where no draft has a coupon.
    """
    wanted = [
        Wanted(pool, _coupon_key(draft, name), draft.participant_id)
        for draft in drafts
        for name, pool in draft.resolved.coupons.items()
    ]
    codes = pools.give_many(tenant_id, wanted)
    return [_compose(tenant_id, draft, codes) for draft in drafts]


def compose(tenant_id: str, draft: Draft) -> Letter:
    """Write one message, or raise CannotRender."""
    (written,) = compose_many(tenant_id, [draft])
    if isinstance(written, CannotRender):
        raise written
    return written


def variables(draft: Draft, given: JSON, unsubscribe_url: str, at: datetime | None = None) -> JSON:
    """What a template reads, now or at another moment."""
    return {
        "participant": profile(draft.participant),
        "vars": given,
        "entry": draft.entry,
        "event": draft.event or {},
        "run": draft.run,
        "unsubscribe_url": unsubscribe_url,
        "now": iso(at or clock.now()),
    }


def profile(participant: JSON | None) -> JSON:
    """A profile as paths read it: columns first, then properties, which are also `attributes`."""
    known = participant or {}
    properties = known.get("properties") or {}
    return {**properties, "attributes": properties, **known}


def _compose(tenant_id: str, draft: Draft, codes: Mapping[tuple[str, str], str]) -> Letter | CannotRender:
    channel = draft.content.channel
    given = dict(draft.resolved.values)
    for name, pool in draft.resolved.coupons.items():
        code = codes.get((pool, _coupon_key(draft, name)))
        if code is None:
            return CannotRender(f"coupon_pool_empty:{pool}", f"The coupon pool `{pool}` has no code left.")
        given[name] = code
    for name, named in draft.resolved.links.items():
        given[name] = addresses.link(
            named, tenant_id=tenant_id, participant_id=draft.participant_id, channel=channel, key=draft.key
        )
    ticket = Ticket(Purpose.UNSUBSCRIBE, tenant_id, draft.participant_id, channel, draft.topic, key=draft.key)
    way_out = addresses.address_of(ticket)
    try:
        parts = wordings.render(draft.content, variables(draft, given, way_out), draft.locale)
    except CannotRender as error:
        return error
    locale, _ = draft.content.in_locale(draft.locale)
    return Letter(parts, locale, way_out)


# Two variables of one message may be of one pool: each gets a code of its own.
def _coupon_key(draft: Draft, name: str) -> str:
    return f"{draft.key}:{name}"[-255:]
