"""Customers over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine.api.jobs import RequestedOutput, accepted
from flows import queries as flow_queries
from flows.api.shapes import InstanceShape, TextOrNull
from marketing.customers import erasure, exporting, fields, merging, profiles
from marketing.models import Customer
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part

MAX_TOPIC = 64


class TagField(serializers.CharField):
    """A tag."""

    def __init__(self, **kwargs: Any) -> None:
        """Of at most 64 characters."""
        super().__init__(**{"max_length": fields.MAX_TAG, **kwargs})


class SaidField(serializers.DictField):
    """What was said of the topics of a channel; null takes it away."""

    child = serializers.BooleanField(allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        """Refuse names that are no topic's, and what is neither true, false nor null."""
        for name, said in data.items() if isinstance(data, dict) else ():
            if not 0 < len(name) <= MAX_TOPIC:
                raise serializers.ValidationError({name[:MAX_TOPIC]: [f"A topic has 1 to {MAX_TOPIC} characters."]})
            if not isinstance(said, bool | None):
                raise serializers.ValidationError({name: ["This has to be true, false or null."]})
        return super().to_internal_value(data)


class PreferencesInput(serializers.Serializer[Any]):
    """Preferences by channel and topic; the topic `*` is everything on the channel. Null takes away."""

    email = SaidField(required=False, allow_null=True)
    sms = SaidField(required=False, allow_null=True)
    push = SaidField(required=False, allow_null=True)
    whatsapp = SaidField(required=False, allow_null=True)
    in_app = SaidField(required=False, allow_null=True)


class PreferencesShape(serializers.DictField):
    """Preferences as they stand."""

    child = serializers.DictField(child=serializers.BooleanField())


class CustomerFields(serializers.Serializer[Any]):
    """What is known of a customer. A time zone that is none is kept in the properties."""

    email = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    phone = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    name = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    timezone = serializers.CharField(required=False, allow_blank=True, allow_null=True, max_length=255)
    locale = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    properties = serializers.DictField(required=False)
    tags = serializers.ListField(child=TagField(), required=False, max_length=fields.MAX_TAGS)
    preferences = PreferencesInput(required=False)

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what a column cannot hold, except for a time zone: no journey fails of it."""
        found = super().to_internal_value(data)
        wrong = {
            name: [serializers.ErrorDetail(fields.EXPECTED[name], "invalid")]
            for name in fields.COLUMNS
            if name != "timezone" and found.get(name) is not None and fields.settled(name, found[name]) is None
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return found


class CustomerInput(CustomerFields):
    """A new customer."""

    external_id = serializers.CharField(max_length=255)


class CustomerShape(serializers.Serializer[Customer]):
    """A customer."""

    external_id = serializers.CharField()
    email = TextOrNull()
    phone = TextOrNull()
    name = TextOrNull()
    timezone = TextOrNull()
    locale = TextOrNull()
    properties = serializers.DictField()
    tags = serializers.ListField(child=serializers.CharField())
    preferences = PreferencesShape()
    state = serializers.ChoiceField(Customer.State.choices)
    last_seen_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TagsInput(serializers.Serializer[Any]):
    """Tags to have, and tags not to have; one in both goes."""

    add = serializers.ListField(child=TagField(), required=False, max_length=fields.MAX_TAGS)
    remove = serializers.ListField(child=TagField(), required=False, max_length=fields.MAX_TAGS)


class CustomersView(TenantView):
    """The tenant's customers."""

    paginated = True
    Output = CustomerShape

    class Filters(serializers.Serializer[Any]):
        """Which customers to list."""

        search = serializers.CharField(required=False, max_length=255)
        tag = TagField(required=False)

    def get(self, request: TenantRequest) -> Response:
        """List customers, newest first; `search` is how an external_id, an e-mail address or a name begins."""
        asked = self.filters()
        everybody = Part({"tenant_id": request.tenant.pk})
        found = profiles.found_by(search=asked.get("search", ""), tag=asked.get("tag", ""))
        parts = [Part(also=each) for each in found]
        sifted = everybody if parts else None
        return self.paginate(profiles.listed(), CustomerShape, parts=parts or [everybody], sifted=sifted)

    @extend_schema(request=CustomerInput, responses={201: CustomerShape})
    def post(self, request: TenantRequest) -> Response:
        """Make a customer; `exists` where there is one of this external_id."""
        given = dict(self.parse(CustomerInput))
        actor = request.principal.actor
        customer = profiles.create(request.tenant, given.pop("external_id"), given, actor=actor)
        return Response(CustomerShape(customer).data, status=201)


class CustomerView(TenantView):
    """One customer."""

    Output = CustomerShape

    def get(self, request: TenantRequest, external_id: str) -> Response:
        """Show a customer; a merged one is the one that it was merged into."""
        return Response(CustomerShape(profiles.found(request.tenant, external_id)).data)

    @extend_schema(request=CustomerFields, responses={200: CustomerShape, 201: CustomerShape})
    def put(self, request: TenantRequest, external_id: str) -> Response:
        """Make the customer just this, whether there was one or not."""
        given = dict(self.parse(CustomerInput, add={"external_id": external_id}))
        actor = request.principal.actor
        customer, is_new = profiles.replace(request.tenant, given.pop("external_id"), given, actor=actor)
        return Response(CustomerShape(customer).data, status=201 if is_new else 200)

    @extend_schema(request=CustomerFields)
    def patch(self, request: TenantRequest, external_id: str) -> Response:
        """Change what is sent; properties and preferences are merged, null takes away."""
        given, actor = self.parse(CustomerFields), request.principal.actor
        return Response(CustomerShape(profiles.change(request.tenant, external_id, given, actor=actor)).data)

    @extend_schema(responses={202: RequestedOutput})
    def delete(self, request: TenantRequest, external_id: str) -> Response:
        """Erase the person: runs end, messages are cancelled, and what they said is forgotten."""
        return accepted(erasure.request(request.tenant, external_id, actor=request.principal.actor))


class CustomerTagsView(TenantView):
    """The tags of a customer: a set."""

    @extend_schema(request=TagsInput, responses=CustomerShape)
    def post(self, request: TenantRequest, external_id: str) -> Response:
        """Add and remove tags."""
        return Response(CustomerShape(profiles.tag(request.tenant, external_id, **self.parse(TagsInput))).data)


class CustomerPreferencesView(TenantView):
    """The preferences of a customer."""

    @extend_schema(request=PreferencesInput, responses=CustomerShape)
    def put(self, request: TenantRequest, external_id: str) -> Response:
        """Merge preferences with what is there; null takes one away, or a whole channel."""
        given = {"preferences": self.parse(PreferencesInput)}
        customer = profiles.change(request.tenant, external_id, given, actor=request.principal.actor)
        return Response(CustomerShape(customer).data)


class CustomerInstancesView(TenantView):
    """The runs of a customer."""

    paginated = True
    Output = InstanceShape

    def get(self, request: TenantRequest, external_id: str) -> Response:
        """List the customer's runs, the one that was entered last first."""
        customer = profiles.found(request.tenant, external_id)
        runs = flow_queries.instances(request.tenant, participant_id=customer.external_id)
        return self.paginate(runs.rows, InstanceShape, ordering=flow_queries.ORDER, parts=runs.parts)


class CustomerExportShape(serializers.Serializer[Any]):
    """Everything that is kept of a person."""

    profile = CustomerShape()
    ids = serializers.ListField(child=serializers.CharField())
    devices = serializers.ListField(child=serializers.DictField())
    segments = serializers.ListField(child=serializers.DictField())
    consents = serializers.ListField(child=serializers.DictField())
    consent_changes = serializers.ListField(child=serializers.DictField())
    events = serializers.ListField(child=serializers.DictField())
    instances = serializers.ListField(child=serializers.DictField())
    steps = serializers.ListField(child=serializers.DictField())
    deliveries = serializers.ListField(child=serializers.DictField())
    suppressions = serializers.ListField(child=serializers.DictField())
    cap_slots = serializers.ListField(child=serializers.DictField())
    conversions = serializers.ListField(child=serializers.DictField())
    coupons = serializers.ListField(child=serializers.DictField())


class CustomerExportView(TenantView):
    """What is kept of a customer."""

    Output = CustomerExportShape

    def get(self, request: TenantRequest, external_id: str) -> Response:
        """Give everything that is kept of a person: from the profile to the suppressions of their addresses."""
        customer = profiles.found(request.tenant, external_id)
        found = exporting.export(request.tenant, customer)
        return Response({"profile": CustomerShape(customer).data, **found})


class MergeInput(serializers.Serializer[Any]):
    """Who goes on."""

    into = serializers.CharField(max_length=255)


class CustomerMergeView(TenantView):
    """Two profiles that are one person."""

    @extend_schema(request=MergeInput, responses=CustomerShape)
    def post(self, request: TenantRequest, external_id: str) -> Response:
        """Merge this customer into another, with its live runs; answer with the one that goes on."""
        given, actor = self.parse(MergeInput), request.principal.actor
        return Response(CustomerShape(merging.merge(request.tenant, external_id, actor=actor, **given)).data)
