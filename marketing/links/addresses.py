"""The addresses that stand in messages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.urls import NoReverseMatch, get_script_prefix, get_urlconf, reverse

from engine.nodes import duration
from marketing.links import tokens
from marketing.links.tokens import Purpose, Ticket
from marketing.models import Link

JSON = dict[str, Any]

# Links that every tenant has; all others are rows.
BUILT_IN: Final = {"unsubscribe": Purpose.UNSUBSCRIBE, "consent_confirm": Purpose.CONFIRM}


def address_of(ticket: Ticket, ttl: str | None = None) -> str:
    """Give the address of a ticket, good for as long as `ttl` (`45d`), else for a year."""
    span = tokens.DEFAULT_TTL if ttl is None else duration.parse(ttl)
    return public(path_of(tokens.sign(ticket, ttl=span)))


def link(named: JSON, *, tenant_id: str, participant_id: str, channel: str, key: str) -> str:
    """Give the address of `{"link", "topic"?, "ttl"?}` for one participant."""
    purpose = BUILT_IN.get(named["link"], Purpose.GO)
    topic = named.get("topic", "")
    ticket = Ticket(purpose, tenant_id, participant_id, channel, topic, named["link"], key)
    return address_of(ticket, named.get("ttl"))


def path_of(token: str) -> str:
    """The path of a token: at the root, or below the API where somebody else's project has only that."""
    return _way_to(get_urlconf() or settings.ROOT_URLCONF, get_script_prefix()) + token


def public(path: str) -> str:
    """The address of a path as the world reaches it."""
    return f"{getattr(settings, 'KALCIFER_PUBLIC_URL', '').rstrip('/')}{path}"


def existing(tenant_id: str, slugs: Sequence[str]) -> frozenset[str]:
    """Tell which of the links there are."""
    rows = Link.objects.filter(tenant_id=tenant_id, slug__in=slugs).values_list("slug", flat=True)
    return frozenset(rows) | (BUILT_IN.keys() & set(slugs))


# What a token consists of stands in a path as it is.
@lru_cache(maxsize=16)
def _way_to(urlconf: str, prefix: str) -> str:
    try:
        found = reverse("message-link", urlconf, args=[_PLACE])
    except NoReverseMatch:
        found = reverse("message-link-below-api", urlconf, args=[_PLACE])
    return found.removesuffix(_PLACE)


_PLACE: Final = "x"
