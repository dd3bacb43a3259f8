"""Where providers call back, as the world reaches it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from marketing.channels.provider import Account

# What the world does not reach: the default of somebody who has not said how it reaches us.
LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1", None))


def callback_url(account: Account, **query: str) -> str:
    """The address at which a provider may report; empty where nobody has said how the world reaches us."""
    base = _base()
    if not base or urlsplit(base).hostname in LOCAL or account.channel_id is None:
        return ""
    try:
        path = reverse("provider-callback", args=[str(account.channel_id)])
    except NoReverseMatch:
        return ""
    return f"{base}{path}" + (f"?{urlencode(query)}" if query else "")


def spellings(url: str) -> set[str]:
    """The addresses that a call may have been signed for: as it came, and as the world knows us behind a proxy."""
    came = urlsplit(url)
    known = urlsplit(_base())
    return {url, came._replace(scheme=known.scheme, netloc=known.netloc).geturl()}


def _base() -> str:
    return str(getattr(settings, "KALCIFER_PUBLIC_URL", "")).rstrip("/")
