"""Starting a flow over REST, for one participant or for many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import errors, event_form, triggers
from engine.api.events import MAX_BATCH_BODY, correlation_of
from engine.entering import Entry, Verdict, Whence
from flows.models.instance import InstanceStatus
from tenants.api import bodies
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import Invalid, Problem

JSON = dict[str, Any]

MAX_PARTICIPANTS: Final = 10_000
MAX_PROBLEMS: Final = 100
FIELDS: Final = frozenset(("participant_id", "participant_ids", "context", "entry_node", "correlation_key"))
TEXTS: Final = ("participant_id", "entry_node", "correlation_key")


class TriggerInput(serializers.Serializer[Any]):
    """Who enters: `participant_id` or `participant_ids`; checked by hand, described here."""

    participant_id = serializers.CharField(required=False, max_length=255)
    participant_ids = serializers.ListField(
        required=False, child=serializers.CharField(max_length=255), min_length=1, max_length=MAX_PARTICIPANTS
    )
    context = serializers.DictField(required=False, help_text="Seen as `entry`.")  # type: ignore[assignment]  # a field, not the property
    entry_node = serializers.CharField(required=False, max_length=255, help_text="Needed where the flow has several.")
    correlation_key = serializers.CharField(required=False, max_length=255)


class StartedOutput(serializers.Serializer[Any]):
    """The instance that began."""

    instance_id = serializers.UUIDField()
    status = serializers.ChoiceField(InstanceStatus.choices)


class RefusedOutput(serializers.Serializer[Any]):
    """A participant who did not enter, and why; `instance_id` is the run that is in the way."""

    participant_id = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()
    instance_id = serializers.UUIDField(allow_null=True)


class ManyStartedOutput(serializers.Serializer[Any]):
    """Who entered, in the order of the request."""

    accepted = serializers.IntegerField()
    instance_ids = serializers.ListField(child=serializers.UUIDField())
    refused = RefusedOutput(many=True)


class TriggerView(TenantView):
    """Start a flow."""

    rate_route = "trigger"
    max_body = MAX_BATCH_BODY
    Input = TriggerInput

    @extend_schema(responses={201: StartedOutput, 202: ManyStartedOutput})
    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Start a flow for one participant (201), or for up to 10,000 (202)."""
        body = self.body_object()
        if problems := list(_problems(body)):
            raise Invalid(problems[:MAX_PROBLEMS])
        if "participant_ids" in body:
            return Response(_many(self._start(body, body["participant_ids"], flow_id)), status=202)
        # The greater limit is for long lists of participants.
        bodies.read(request._request, bodies.MIB)  # noqa: SLF001  # it is read already, and kept there
        (verdict,) = self._start(body, [body["participant_id"]], flow_id)
        if verdict.refusal is not None:
            raise verdict.refusal
        # Every instance begins like this; what it is by now, nobody has looked.
        return Response({"instance_id": verdict.instance_id, "status": "running"}, status=201)

    def _start(self, body: JSON, participants: Sequence[str], flow_id: str) -> list[Verdict]:
        request: Any = self.request
        context, key = body.get("context", {}), body.get("correlation_key")
        verdicts = triggers.start_by_id(
            (request.tenant.pk, _uuid(flow_id)),
            [Entry(each, context, key) for each in participants],
            entry_node=body.get("entry_node"),
            whence=Whence(request.principal.actor, correlation_of(request)),
        )
        if isinstance(verdicts[0].refusal, errors.FlowNotActive):
            raise verdicts[0].refusal
        return verdicts


def _many(verdicts: list[Verdict]) -> JSON:
    started = [each.instance_id for each in verdicts if each.refusal is None]
    refused = [
        {
            "participant_id": each.entry.participant_id,
            "code": each.refusal.code,
            "detail": each.refusal.detail,
            "instance_id": each.instance_id,
        }
        for each in verdicts
        if each.refusal is not None
    ]
    return {"accepted": len(started), "instance_ids": started, "refused": refused}


def _uuid(flow_id: str) -> UUID:
    try:
        return UUID(flow_id)
    except ValueError:
        raise errors.UnknownFlow from None


def _problems(body: JSON) -> Iterator[Problem]:
    for name in body:
        if name not in FIELDS:
            yield Problem("unknown_field", f"There is no field {name!r} here.", name)
    for name in TEXTS:
        if name in body and not event_form.is_name(body[name]):
            yield event_form.name_problem(body[name], name)
    if "context" in body and not isinstance(body["context"], dict):
        yield Problem("not_a_dict", "This has to be an object.", "context")
    if "participant_ids" not in body:
        if "participant_id" not in body:
            yield Problem("required", "Send participant_id, or participant_ids for several.", "participant_id")
    elif "participant_id" in body:
        yield Problem("invalid", "Send participant_id or participant_ids, not both.", "participant_ids")
    else:
        yield from _problems_of_many(body["participant_ids"])


def _problems_of_many(participants: Any) -> Iterator[Problem]:
    if not isinstance(participants, list):
        yield Problem("not_a_list", "This has to be a list of participants' ids.", "participant_ids")
        return
    if not 1 <= len(participants) <= MAX_PARTICIPANTS:
        code = "max_length" if participants else "min_length"
        detail = f"Send 1 to {MAX_PARTICIPANTS} participants at once, not {len(participants)}."
        yield Problem(code, detail, "participant_ids")
        return
    for index, value in enumerate(participants):
        if not event_form.is_name(value):
            yield event_form.name_problem(value, f"participant_ids.{index}")
