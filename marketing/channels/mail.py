"""E-mails as they leave: the parts of a message, its sender and its headers, after MIME."""

from __future__ import annotations

import re
from email.utils import formataddr
from html import escape
from typing import Any, Final

from django.core.exceptions import SuspiciousOperation
from django.core.mail import EmailMultiAlternatives
from django.utils.html import strip_tags
from pydantic import Field

from marketing.channels.provider import Outgoing, Settings

ADDRESS: Final = r"^[^@\s\x00-\x1f<>,;]{1,64}@[^@\s\x00-\x1f<>,;]{1,255}$"
_BODY: Final = re.compile(r"<body[^<>]*>", re.IGNORECASE)
_NOT_SHOWN: Final = re.compile(r"<(style|script|head)\b", re.IGNORECASE)
_ENDS: Final = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("style", "script", "head")}
_GAPS: Final = re.compile(r"\n\s*\n\s*\n+")


class Sender(Settings):
    """Whom messages come from."""

    from_email: str = Field(pattern=ADDRESS, description="The address that messages come from.")
    from_name: str = Field("", max_length=100, description="The name beside it; a template's from_name wins.")
    reply_to: str | None = Field(None, pattern=ADDRESS, description="Where answers go; a template's reply_to wins.")


def compose(sender: Sender, message: Outgoing) -> EmailMultiAlternatives:
    """Give a message as Django's mail knows it; raises ValueError for what cannot stand in a header."""
    parts = message.parts
    html = parts.get("html", "")
    text = parts.get("text") or _as_text(html)
    name = _line(parts.get("from_name") or sender.from_name)
    reply_to = _line(parts.get("reply_to") or sender.reply_to or "")
    mail = EmailMultiAlternatives(
        subject=_line(parts.get("subject", "")),
        body=text,
        from_email=formataddr((name, sender.from_email)) if name else sender.from_email,
        to=[message.recipient],
        reply_to=[reply_to] if reply_to else None,
        headers=dict(message.headers),
    )
    if html:
        mail.attach_alternative(_with_preheader(html, parts.get("preheader", "")), "text/html")
    return mail


def in_ascii(address: str) -> str:
    """Give an address as mail servers want it; raises UnicodeError: only domains have a spelling in ASCII."""
    local, _, domain = address.rpartition("@")
    return f"{local.encode('ascii').decode()}@{domain.encode('idna').decode()}"


def annotate(mail: Any, message: Outgoing) -> None:
    """Add what anymail hands on, so that reports name the message by our own id too."""
    mail.metadata = {"delivery_id": message.delivery_id}
    tags = message.options.get("tags")
    mail.tags = [str(tag)[:100] for tag in tags[:10]] if isinstance(tags, list) else []
    # Links carry their own tokens already; opens are the provider's business unless a flow says otherwise.
    for name in ("track_opens", "track_clicks"):
        if isinstance(message.options.get(name), bool):
            setattr(mail, name, message.options[name])


# A header is one line, whatever a template made of it.
def _line(text: str) -> str:
    return " ".join(text.split())


def _as_text(html: str) -> str:
    try:
        return _GAPS.sub("\n\n", strip_tags(_shown(html))).strip()
    except SuspiciousOperation:
        raise ValueError("The HTML has too many tags that do not end.") from None


# Each element is looked for once, and not again where it never ends: hostile pages cost what others do.
def _shown(html: str) -> str:
    kept, at, endless = [], 0, set()
    for opening in _NOT_SHOWN.finditer(html):
        name = opening[1].lower()
        if opening.start() < at or name in endless:
            continue
        if ending := _ENDS[name].search(html, opening.end()):
            kept.append(html[at : opening.start()])
            at = ending.end()
        else:
            endless.add(name)
    return "".join((*kept, html[at:]))


# What mail programs show beside the subject stands first in the body, where nobody sees it.
def _with_preheader(html: str, preheader: str) -> str:
    if not preheader:
        return html
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{escape(preheader)}</div>'
    opening = _BODY.search(html)
    return hidden + html if opening is None else html[: opening.end()] + hidden + html[opening.end() :]
