"""Messages as a rehearsal shows them: rendered as they would be sent, while no coupon is taken and no link works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.nodes.message_vars import Resolved
from engine.ports import Rehearsed
from marketing.links import addresses
from marketing.templates import content as wordings
from marketing.templates import drafts, store
from marketing.templates.content import Content
from marketing.templates.drafts import Draft
from marketing.templates.errors import CannotRender

JSON = dict[str, Any]

# Where a link of a rehearsal leads: to the page that says that it leads nowhere.
NOWHERE: Final = "rehearsal"
ADDRESS_OF: Final = {"email": "email", "sms": "phone", "whatsapp": "phone"}


class Previews:
    """The engine's MessagePreview."""

    def preview_many(self, tenant_id: str, rehearsed: Sequence[Rehearsed]) -> Sequence[JSON]:
        """Give, of each, its parts, its recipient, and why it would not be sent where it would not."""
        slugs = [each.message.payload["template_id"] for each in rehearsed if each.message.payload.get("template_id")]
        stored = store.find_many(tenant_id, slugs) if slugs else {}
        return [_preview(each, stored) for each in rehearsed]


def _preview(rehearsed: Rehearsed, stored: Mapping[str, Content]) -> JSON:
    payload, channel = rehearsed.message.payload, rehearsed.message.channel
    recipient = _recipient(rehearsed)
    seen: JSON = {"recipient": recipient}
    content = _content(payload, channel, stored)
    if content is None:
        return {**seen, "status": "failed", "reason": "template_missing"}
    locale = str((rehearsed.participant or {}).get("locale") or "")
    draft = _draft(rehearsed, content, locale)
    seen["locale"] = content.in_locale(locale)[0]
    flaw = ""
    try:
        seen["rendered"] = wordings.render(content, _variables(draft, rehearsed), locale)
    except CannotRender as error:
        flaw = error.reason
    # Who is not written to does not mind how it reads.
    if refusal := _refusal(rehearsed) or (None if recipient else "no_address"):
        return {**seen, "status": "skipped", "reason": refusal}
    return {**seen, "status": "failed", "reason": flaw} if flaw else seen


def _content(payload: JSON, channel: str, stored: Mapping[str, Content]) -> Content | None:
    if payload.get("template_id"):
        return stored.get(payload["template_id"])
    return Content(channel, payload.get("content") or {}, payload.get("locales") or {})


def _recipient(rehearsed: Rehearsed) -> str | None:
    column = ADDRESS_OF.get(rehearsed.message.channel)
    if column is None:
        return rehearsed.message.participant_id
    return (rehearsed.participant or {}).get(column)


# What participants have said binds everything but what they need to know.
def _refusal(rehearsed: Rehearsed) -> str | None:
    payload = rehearsed.message.payload
    if rehearsed.preferences is None or payload.get("message_class") == "transactional":
        return None
    return rehearsed.preferences.refusal(rehearsed.message.channel, payload.get("topic") or "")


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
