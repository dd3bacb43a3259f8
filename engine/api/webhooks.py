"""Calls of other systems: no key, but the signature that the flow's webhook_entry declares."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO
from typing import Any, Final

import structlog
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.http.multipartparser import MultiPartParser
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from engine import errors, event_form, inbox, ports
from engine.api.events import correlation_of
from engine.event_form import Incoming
from engine.execution import program
from engine.nodes.trigger.webhook_entry import WebhookEntry
from flows.models import FlowTrigger
from flows.models.flow import FlowStatus
from tenants import jsontext, throttling
from tenants.api.base import ApiView, TenantRequest
from tenants.api.media import Negotiation
from tenants.api.schema import ERRORS
from tenants.errors import Invalid, NotFound, Problem

log = structlog.get_logger(__name__)

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"


class LaterParser(BaseParser):
    """Leaves the body alone: it is read once its signature is known to be right."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Give nothing."""
        return None


class AnyBody(Negotiation):
    """Takes bodies of every type."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """The only parser."""
        return next(iter(parsers), None)


class WebhookView(ApiView):
    """Where another system's calls come in."""

    parser_classes: Any = (LaterParser,)
    content_negotiation_class = AnyBody

    class Output(serializers.Serializer[Any]):
        """What became of the call."""

        event_id = serializers.CharField()
        duplicate = serializers.BooleanField()

    @extend_schema(
        request=dict.fromkeys(("application/json", FORM, MULTIPART), OpenApiTypes.OBJECT),
        responses={
            202: Output,
            401: OpenApiResponse(ERRORS, "The signature does not fit the body, or is too old."),
            429: OpenApiResponse(ERRORS, "The tenant's requests per second are used up. Retry-After says when."),
        },
    )
    def post(self, request: TenantRequest, flow_id: str, webhook_path: str) -> Response:
        """Store a signed call as an event that starts its flow; the same call twice is told apart by its own id."""
        trigger = _trigger(flow_id, webhook_path)
        throttling.spend(trigger.tenant_id, "webhooks")
        node, config = _node(trigger)
        self._check_signature(node, config, trigger)
        call = node.extract(config, self._content())
        if not event_form.is_name(call.participant_id):
            detail = f"The call names no participant at {config.participant_id_path}: 1 to 255 characters, or a number."
            raise Invalid([Problem("required", detail, config.participant_id_path)])
        event = Incoming(
            participant_id=str(call.participant_id),
            event_type=f"webhook.{webhook_path}",
            data=call.entry,
            event_id=None if call.event_id is None else _event_id(trigger, call.event_id),
            source="webhook",
            flow_id=str(trigger.flow_id),
            entry_node=trigger.node_id,
            correlation_id=correlation_of(request),
        )
        (received,) = inbox.receive(trigger.tenant_id, [event])
        return Response({"event_id": received.event_id, "duplicate": received.duplicate}, status=202)

    def _check_signature(self, node: WebhookEntry, config: WebhookEntry.Config, trigger: FlowTrigger) -> None:
        name = node.secret_of(config)
        if name is None:
            return
        secret = ports.bound().secrets.fetch(str(trigger.tenant_id), name)
        if secret is None:
            log.warning("webhook.secret_missing", flow=str(trigger.flow_id), node=trigger.node_id, secret=name)
        if secret is None or not node.verify(config, secret, self.request.headers, self.raw_body(), now()):
            raise errors.InvalidSignature

    # Signed is what came, so that only now anything is made of it. Senders are not always right about the type of JSON.
    def _content(self) -> Any:
        http = self.request._request  # noqa: SLF001
        kind = (http.content_type or "").lower()
        if kind == FORM:
            sent: QueryDict = QueryDict(self.raw_body(), encoding="utf-8")
        elif kind == MULTIPART:
            # Without handlers of uploads files are passed over.
            sent, _ = MultiPartParser(http.META, BytesIO(self.raw_body()), [], "utf-8").parse()
        else:
            return jsontext.loads(self.raw_body() or b"{}")
        form = {name: values[0] if len(values) == 1 else values for name, values in sent.lists()}
        jsontext.refuse_nul(form)
        return form


def _trigger(flow_id: str, webhook_path: str) -> FlowTrigger:
    try:
        found = FlowTrigger.objects.filter(
            flow_id=flow_id, kind=FlowTrigger.Kind.WEBHOOK, key=webhook_path, flow__status=FlowStatus.ACTIVE
        )
        trigger = found.order_by("node_id").first()
    except (ValueError, ValidationError):
        trigger = None
    if trigger is None:
        raise NotFound("There is no webhook at this address.")
    return trigger


def _node(trigger: FlowTrigger) -> tuple[WebhookEntry, WebhookEntry.Config]:
    compiled = program.of_version(str(trigger.version_id)).nodes.get(trigger.node_id)
    if compiled is None or not isinstance(compiled.node, WebhookEntry):
        raise NotFound("There is no webhook at this address.")
    return compiled.node, compiled.config


# The sender's ids are its own: they must not meet those of another flow's senders, nor those of POST /events.
def _event_id(trigger: FlowTrigger, given: str) -> str:
    name = f"webhook:{trigger.flow_id}:{trigger.key}:{given}"
    if len(name) <= event_form.MAX_LENGTH:
        return name
    return f"webhook:{trigger.flow_id}:sha256:{sha256(f'{trigger.key}:{given}'.encode()).hexdigest()}"
