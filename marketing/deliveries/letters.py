"""From what is queued to what the provider gets: the wording, filled in for its reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from engine.execution import program
from engine.nodes.message_vars import Resolved
from flows.models import FlowVersion
from marketing.channels.provider import Outgoing
from marketing.deliveries.reading import Held
from marketing.templates import drafts, store
from marketing.templates.content import Content
from marketing.templates.drafts import Draft, Letter
from marketing.templates.errors import CannotRender

JSON = dict[str, Any]
Written = Letter | CannotRender


def write_many(tenant_id: str, held: Sequence[Held]) -> list[tuple[Content | None, Written]]:
    """Write the messages, in order; codes that are given are committed. A few queries for any number of them."""
    stored = _stored(tenant_id, held)
    contents = [_content(each, stored) for each in held]
    pairs = [(each, content) for each, content in zip(held, contents, strict=True) if content is not None]
    letters = iter(drafts.compose_many(tenant_id, [_draft(each, content) for each, content in pairs]))
    return [
        (content, CannotRender("template_missing", "There is no such template any more.") if content is None
         else next(letters))
        for content in contents
    ]  # fmt: skip


def outgoing(held: Held, content: Content, letter: Letter) -> list[Outgoing]:
    """Give the message as the provider gets it: one for each address."""
    parts = letter.parts
    if content.channel == "push" and (link := held.payload.get("deep_link")):
        parts = {**parts, "deep_link": str(link)}
    options = {name: value for name, value in (held.payload.get("options") or {}).items() if name != "provider"}
    if language := held.payload.get("language"):
        options = {"language": language, **options}
    return [
        Outgoing(
            delivery_id=held.id,
            key=held.provider_key,
            channel=held.channel,
            recipient=address,
            participant_id=held.participant_id,
            parts=parts,
            headers=letter.headers if held.channel == "email" and held.message_class != "transactional" else {},
            message_class=held.message_class,
            options=options,
        )
        for address in held.recipients
    ]


def _stored(tenant_id: str, held: Sequence[Held]) -> Mapping[str, Content]:
    slugs = {each.template_id for each in held if each.template_id}
    return store.find_many(tenant_id, slugs) if slugs else {}


def _content(held: Held, stored: Mapping[str, Content]) -> Content | None:
    if held.template_id:
        found = stored.get(held.template_id)
        return found if found is not None and found.channel == held.channel else None
    said = held.payload
    if "content" in said:
        return Content(held.channel, said["content"], said.get("locales") or {})
    return _in_graph(held)


# Versions never change, so that what a node said when the message was queued is there still.
def _in_graph(held: Held) -> Content | None:
    number = held.payload.get("version")
    version_id = None if held.flow_id is None or number is None else _version_id(held.flow_id, number)
    compiled = None if version_id is None else program.of_version(version_id).nodes.get(held.node_id)
    parts = getattr(compiled.config, "content", None) if compiled is not None else None
    return None if parts is None or compiled is None else Content(held.channel, parts, compiled.config.locales or {})


@lru_cache(maxsize=1024)
def _version_id(flow_id: str, number: int) -> str | None:
    found = FlowVersion.objects.filter(flow_id=flow_id, number=number).values_list("pk", flat=True).first()
    return None if found is None else str(found)


def _draft(held: Held, content: Content) -> Draft:
    profile = held.profile or {}
    compiled = held.program
    run = {
        "id": held.instance_id,
        "participant_id": held.participant_id,
        "flow": held.flow_id,
        "version": None if compiled is None else compiled.version,
        "entered_at": None if held.entered_at is None else held.entered_at.isoformat(),
    }
    return Draft(
        key=held.key,
        participant_id=held.participant_id,
        content=content,
        resolved=Resolved.model_construct(**(held.payload.get("vars") or {})),
        topic=held.topic,
        locale=str(held.payload.get("language") or profile.get("locale") or ""),
        participant=held.profile,
        entry=held.entry,
        event=held.payload.get("event"),
        run=run,
    )
