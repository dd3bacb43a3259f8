"""Callbacks of providers: no key, but the signature of whoever carried the messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID

import orjson
import structlog
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import errors
from engine.api.webhooks import FORM, AnyBody, LaterParser
from marketing.channels import accounts
from marketing.channels.provider import Account, Callback, InvalidSignature, WrongShape
from marketing.channels.providers import twilio
from marketing.deliveries import reports
from marketing.deliveries.reports import as_id
from marketing.models import Channel, Delivery
from tenants import throttling
from tenants.api.base import ApiView, TenantRequest
from tenants.api.bodies import MIB
from tenants.api.schema import ERRORS
from tenants.errors import Invalid, NotFound, Problem

log = structlog.get_logger(__name__)

AT_ONCE: Final = 500
# So many accounts are tried where a call does not say whose it is.
MOST_TRIED: Final = 100


class CallbackView(ApiView):
    """
    Where providers report what became of messages.

    What concerns messages that are not ours is passed over; reports come twice and in any order.
    """

    parser_classes: Any = (LaterParser,)
    content_negotiation_class = AnyBody
    max_body: ClassVar[int] = 16 * MIB

    class Output(serializers.Serializer[Any]):
        """How many of the reports were news."""

        recorded = serializers.IntegerField()

    def known_parameters(self, method: str) -> frozenset[str]:
        """Any: the address is the provider's to call, and what it adds is signed with it."""
        return frozenset(self.request.query_params)

    def record(self, rows: Iterable[Channel], callback: Callback, *, spent: UUID | None = None) -> Response:
        """Record what a call says for those accounts that it proves to be of; at least one, or it is refused."""
        found = [account for row in rows if (account := accounts.account_of(row)) is not None]
        read = [(account, told) for account in found if (told := _read(account, callback)) is not None]
        if not read:
            raise errors.InvalidSignature
        recorded = 0
        for account, told in read:
            if account.tenant_id != spent:
                throttling.spend(account.tenant_id, "webhooks")
            for start in range(0, len(told), AT_ONCE):
                recorded += reports.record_many(account.tenant_id, told[start : start + AT_ONCE])
        return Response({"recorded": recorded})

    def callback(self) -> Callback:
        """The call as providers read it."""
        http = self.request._request  # noqa: SLF001
        return Callback(
            url=http.build_absolute_uri(),
            headers={name.lower(): value for name, value in http.headers.items()},
            body=self.raw_body(),
            query=http.GET.dict(),
        )


_ANSWERS: Final = {
    200: CallbackView.Output,
    400: OpenApiResponse(ERRORS, "The call is not written as this provider writes them."),
    401: OpenApiResponse(ERRORS, "The signature does not fit the call."),
    429: OpenApiResponse(ERRORS, "The tenant's requests per second are used up. Retry-After says when."),
}
_BODIES: Final = dict.fromkeys(("application/json", FORM), OpenApiTypes.OBJECT)


class ProviderCallbackView(CallbackView):
    """The callbacks of one channel."""

    @extend_schema(request=_BODIES, responses=_ANSWERS)
    def post(self, request: TenantRequest, channel_id: str) -> Response:
        """Record what the provider of a channel reports."""
        row = Channel.objects.filter(pk__in=[key] if (key := as_id(channel_id)) else []).first()
        if row is None:
            raise NotFound("There is no channel at this address.")
        # Whose call it is stands in its address: that tenant pays also for those that are refused.
        throttling.spend(row.tenant_id, "webhooks")
        return self.record([row], self.callback(), spent=row.tenant_id)


class SendgridCallbackView(CallbackView):
    """The event webhook of every SendGrid account."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=_ANSWERS)
    def post(self, request: TenantRequest) -> Response:
        """Record what SendGrid reports; the signature says of which account."""
        callback = self.callback()
        rows = Channel.objects.filter(provider="sendgrid")
        if named := _delivery_ids(callback.body):
            tenants = Delivery.objects.filter(pk__in=named).values("tenant_id")
            if mine := list(rows.filter(tenant_id__in=tenants).order_by("-id")[:MOST_TRIED]):
                return self.record(mine, callback)
        return self.record(rows.order_by("-id")[:MOST_TRIED], callback)


class TwilioCallbackView(CallbackView):
    """The status callbacks of every Twilio account."""

    @extend_schema(request={FORM: OpenApiTypes.OBJECT}, responses=_ANSWERS)
    def post(self, request: TenantRequest) -> Response:
        """Record what Twilio reports; the call names its account, and is signed with that one's token."""
        callback = self.callback()
        try:
            sid = twilio.form(callback).get("AccountSid", "")
        except WrongShape as error:
            raise _wrong(error) from error
        rows = Channel.objects.filter(provider="twilio", config__account_sid=sid)
        return self.record(rows.order_by("-id")[:MOST_TRIED], callback)


def _read(account: Account, callback: Callback) -> Sequence[Any] | None:
    try:
        return account.provider.read_callback(account, callback)
    except InvalidSignature as error:
        log.info("callback.refused", channel=str(account.channel_id), because=str(error)[:200])
        return None
    except WrongShape as error:
        raise _wrong(error) from error


def _wrong(error: WrongShape) -> Invalid:
    return Invalid([Problem("wrong_shape", f"This is no callback of the provider: {error}.")])


# Only a hint where to look: nothing of the body is believed before a signature fits it.
def _delivery_ids(body: bytes) -> list[Any]:
    try:
        events = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _wrong(WrongShape("the body is not JSON")) from error
    if not isinstance(events, list) or not all(isinstance(each, dict) for each in events):
        raise _wrong(WrongShape("the body is a list of events"))
    found = {as_id(each.get("delivery_id")) for each in events[:AT_ONCE]}
    return [each for each in found if each is not None]
