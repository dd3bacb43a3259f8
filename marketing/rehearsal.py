"""Messages as a rehearsal shows them: rendered as they would be sent, while no coupon is taken and no link works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from engine.moments import iso
from engine.nodes.message_vars import Resolved
from engine.ports import Rehearsed
from marketing import windows
from marketing.deliveries import suppressions
from marketing.links import addresses
from marketing.models import PushToken
from marketing.templates import content as wordings
from marketing.templates import drafts, store
from marketing.templates.content import Content
from marketing.templates.drafts import Draft
from marketing.templates.errors import CannotRender

JSON = dict[str, Any]

# Where a link of a rehearsal leads: to the page that says that it leads nowhere.
NOWHERE: Final = "rehearsal"
ADDRESS_OF: Final = {"email": "email", "sms": "phone", "whatsapp": "phone"}
MOST_DEVICES: Final = 20


class Previews:
    """The engine's MessagePreview."""

    def preview_many(self, tenant_id: str, rehearsed: Sequence[Rehearsed]) -> Sequence[JSON]:
        """Give, of each, its parts, its recipients, and why it would not be sent where it would not."""
        slugs = [each.message.payload["template_id"] for each in rehearsed if each.message.payload.get("template_id")]
        stored = store.find_many(tenant_id, slugs) if slugs else {}
        return [_preview(tenant_id, each, stored) for each in rehearsed]


def _preview(tenant_id: str, rehearsed: Rehearsed, stored: Mapping[str, Content]) -> JSON:
    payload, channel = rehearsed.message.payload, rehearsed.message.channel
    recipients = _recipients(tenant_id, rehearsed)
    seen: JSON = {"recipient": ", ".join(recipients) or None}
    content = _content(payload, channel, stored)
    if content is None:
        return {**seen, "status": "failed", "reason": "template_missing"}
    locale = str(payload.get("language") or (rehearsed.participant or {}).get("locale") or "")
    draft = _draft(rehearsed, content, locale)
    seen["locale"] = content.in_locale(locale)[0]
    flaw = ""
    try:
        rendered = wordings.render(content, _variables(draft, rehearsed), locale)
        seen["rendered"] = {name: rendered[name] for name in wordings.PARTS[channel] if name in rendered}
    except CannotRender as error:
        flaw = error.reason
    # Who is not written to does not mind how it reads.
    if refusal := _refusal(tenant_id, rehearsed, recipients):
        return {**seen, "status": "skipped", "reason": refusal}
    if flaw:
        return {**seen, "status": "failed", "reason": flaw}
    return seen | _resting(rehearsed)


# What participants have said binds everything but what they need to know; a suppressed address binds that too.
def _refusal(tenant_id: str, rehearsed: Rehearsed, recipients: Sequence[str]) -> str | None:
    payload, channel = rehearsed.message.payload, rehearsed.message.channel
    if rehearsed.preferences is not None and _class_of(rehearsed) != "transactional":
        refusal = rehearsed.preferences.refusal(channel, payload.get("topic") or "")
        if refusal is not None:
            return refusal
    if not recipients:
        return "no_address"
    out = suppressions.suppressed(tenant_id, [(channel, address) for address in recipients])
    return "suppressed" if len(out) == len(recipients) else None


def _resting(rehearsed: Rehearsed) -> JSON:
    rest = windows.closed(
        rehearsed.quiet_hours,
        channel=rehearsed.message.channel,
        message_class=_class_of(rehearsed),
        zone=windows.zone_for((rehearsed.participant or {}).get("timezone"), rehearsed.zone),
        now=rehearsed.at,
        queued_at=rehearsed.at,
    )
    if rest is None:
        return {}
    if rest.on_closed == "skip":
        return {"status": "skipped", "reason": "quiet_hours"}
    expires_at = rehearsed.message.payload.get("expires_at")
    last = min(rest.drop_at, datetime.fromisoformat(expires_at)) if expires_at else rest.drop_at
    return {"status": "skipped", "reason": "expired"} if rest.opens_at > last else {"sent_at": iso(rest.opens_at)}


def _recipients(tenant_id: str, rehearsed: Rehearsed) -> list[str]:
    profile, channel = rehearsed.participant, rehearsed.message.channel
    if profile is None:
        return []
    if channel == "push" and not rehearsed.is_made_up:
        devices = PushToken.objects.filter(tenant_id=tenant_id, customer__external_id=profile["external_id"])
        return list(devices.values_list("token", flat=True)[:MOST_DEVICES])
    column = ADDRESS_OF.get(channel, "external_id")
    return [profile[column]] if profile.get(column) else []


def _class_of(rehearsed: Rehearsed) -> str:
    return str(rehearsed.message.payload.get("message_class") or "marketing")


def _content(payload: JSON, channel: str, stored: Mapping[str, Content]) -> Content | None:
    if payload.get("template_id"):
        return stored.get(payload["template_id"])
    return Content(channel, payload.get("content") or {}, payload.get("locales") or {})


def _draft(rehearsed: Rehearsed, content: Content, locale: str) -> Draft:
    message = rehearsed.message
    return Draft(
        message.key,
        message.participant_id,
        content,
        Resolved.model_validate(message.payload.get("vars") or {}),
        locale=locale,
        participant=rehearsed.participant,
        entry=rehearsed.entry,
        event=message.payload.get("event"),
        run=rehearsed.run,
    )


def _variables(draft: Draft, rehearsed: Rehearsed) -> JSON:
    nowhere = addresses.public(addresses.path_of(NOWHERE))
    given = {
        **draft.resolved.values,
        **{name: f"{pool.upper()}-EXAMPLE" for name, pool in draft.resolved.coupons.items()},
        **{name: f"{nowhere}?link={named['link']}" for name, named in draft.resolved.links.items()},
    }
    return drafts.variables(draft, given, nowhere, rehearsed.at)
