"""What each provider has to be told, as a person who fills in a form reads it."""

from __future__ import annotations

from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from pydantic import BaseModel

from marketing.channels import registry
from marketing.channels.provider import Provider
from marketing.channels.registry import UnknownProvider

NOTHING: Final = "nothing"


def config_help(name: str = "") -> SafeString:
    """Tell the config of a provider, or of each."""
    return format_html('JSON, such as {{"from_email": "hello@example.com"}}. {}', _of_each("Config", name))


def credentials_help(name: str = "") -> SafeString:
    """Tell the credentials of a provider, or of each."""
    return format_html(
        'JSON, such as {{"api_key": "…"}}. Nobody sees them again; empty leaves them as they are. {}',
        _of_each("Credentials", name),
    )


def _of_each(kind: str, name: str) -> SafeString:
    rows = ((each.title, _fields(getattr(each, kind))) for each in _providers(name))
    return format_html("<ul>{}</ul>", format_html_join("", "<li><b>{}</b>: {}</li>", rows))


# One that is not installed any more has no fields that anybody knows.
def _providers(name: str) -> list[Provider]:
    try:
        return [registry.get(name)] if name else registry.all()
    except UnknownProvider:
        return []


def _fields(cls: type[BaseModel]) -> SafeString | str:
    lines = ((field, _remark(facts)) for field, facts in cls.model_fields.items())
    return format_html_join(", ", "<code>{}</code>{}", lines) or NOTHING


def _remark(facts: Any) -> str:
    if facts.is_required():
        return " (required)"
    shown = facts.default if isinstance(facts.default, str | int | float) else ""
    return f" (else {shown})" if shown else ""
