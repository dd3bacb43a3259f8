"""
Reports as anybody can write them: a signed list of what became of messages.

The body is one report or a list of them, each `{"delivery_id" or "message_id", "status", "at"?, "detail"?, "hard"?,
"data"?}`, signed after Standard Webhooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from django.utils.timezone import now
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from engine import signatures
from marketing.channels.provider import Callback, InvalidSignature, Report, WrongShape
from tenants import jsontext
from tenants.errors import InvalidInput

MOST = 1_000


class Said(BaseModel):
    """One report, as it is sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    delivery_id: str = Field("", max_length=64)
    message_id: str = Field("", max_length=255)
    status: Literal["sent", "delivered", "opened", "clicked", "bounced", "complained", "failed", "unsubscribed"]
    at: AwareDatetime | None = Field(None, strict=False)
    detail: str = Field("", max_length=1_000)
    hard: bool = False
    data: dict[str, Any] = Field(default_factory=dict)


_SAID = TypeAdapter(list[Said])


def read(provider: str, secret: SecretStr | None, callback: Callback) -> Sequence[Report]:
    """Give the reports of a signed body; without a secret nobody can sign, and nothing is believed."""
    if secret is None:
        raise InvalidSignature("the channel has no callback_secret")
    try:
        signatures.verify_standard(secret.get_secret_value(), callback.headers, callback.body, now=now())
    except signatures.InvalidSignature as error:
        raise InvalidSignature(str(error)) from error
    return [_report(provider, said) for said in _parse(callback.body)]


def moment(value: Any) -> datetime | None:
    """Give the moment that a provider wrote as seconds since 1970, or None."""
    try:
        return datetime.fromtimestamp(float(value), tz=now().tzinfo)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _parse(body: bytes) -> list[Said]:
    try:
        sent = jsontext.loads(body)
        said = _SAID.validate_python(sent if isinstance(sent, list) else [sent])
    except InvalidInput as error:
        raise WrongShape(error.detail) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WrongShape(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if len(said) > MOST:
        raise WrongShape(f"a call reports on at most {MOST} messages")
    if not all(each.delivery_id or each.message_id for each in said):
        raise WrongShape("each report names its message by delivery_id or message_id")
    return said


def _report(provider: str, said: Said) -> Report:
    return Report(
        provider=provider,
        status=said.status,
        at=said.at,
        message_id=said.message_id,
        delivery_id=said.delivery_id,
        detail=said.detail,
        hard=said.hard,
        data=said.data,
    )
