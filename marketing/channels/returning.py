"""Where providers call back, as the world reaches it."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from marketing.channels.provider import Account


def callback_url(account: Account, **query: str) -> str:
    """The address at which a provider may report; empty where nobody has said how the world reaches us."""
    base = str(getattr(settings, "KALCIFER_PUBLIC_URL", "")).rstrip("/")
    if not base or account.channel_id is None:
        return ""
    try:
        path = reverse("provider-callback", args=[str(account.channel_id)])
    except NoReverseMatch:
        return ""
    return f"{base}{path}" + (f"?{urlencode(query)}" if query else "")


def public_url(request: HttpRequest) -> str:
    """The address of a request as its sender wrote it, also behind a proxy that has told its name."""
    base = str(getattr(settings, "KALCIFER_PUBLIC_URL", "")).rstrip("/")
    return f"{base}{request.get_full_path()}" if base else request.build_absolute_uri()
