"""Reads the environment: the only place that does."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """A setting as text; an empty one counts as not set."""
    return os.environ.get(name) or default


def required(name: str) -> str:
    """A setting without which the start stops, with its name."""
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. It has to be set when KALCIFER_ENV is 'production'.")
    return value


def number(name: str, default: float) -> float:
    """A setting as a number."""
    value = text(name)
    try:
        return float(value) if value else default
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}, which is not a number.") from error


def integer(name: str, default: int) -> int:
    """A setting as a whole number."""
    value = text(name)
    try:
        return int(value) if value else default
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}, which is not a whole number.") from error


def flag(name: str, *, default: bool = False) -> bool:
    """A setting that is on for 1, true, yes, on."""
    value = text(name)
    return value.lower() in {"1", "true", "yes", "on"} if value else default


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated setting."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def database(url: str, *, engine: str = "django.db.backends.postgresql") -> dict[str, Any]:
    """Django's database settings for `postgresql://user:password@host:port/name?option=value`.

    A directory of sockets is given as `?host=/path`, as libpq does it.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL does not look like postgresql://user:password@host:5432/name.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    return {
        "ENGINE": engine,
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or options.pop("user", "")),
        "PASSWORD": unquote(parts.password or options.pop("password", "")),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or options.pop("port", "")),
        "OPTIONS": options,
    }


def broker(redis_url: str) -> str:
    """Celery's way to write a Redis URL, whose sockets have another scheme."""
    if redis_url.startswith("unix://"):
        path, _, query = redis_url.removeprefix("unix://").partition("?")
        number_of_database: Mapping[str, str] = dict(parse_qsl(query))
        return f"redis+socket://{path}?virtual_host={number_of_database.get('db', '0')}"
    return redis_url
