"""Segments over REST: groups of customers, by a rule or by hand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from engine import clock
from marketing.models import Segment, SegmentMember
from marketing.segments import catalog, evaluation
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part

SAMPLE = 10


@extend_schema_field(OpenApiTypes.OBJECT)
class RuleField(serializers.JSONField):
    """A rule of docs/reference/segments.md; null where there is none."""


class SegmentFields(serializers.Serializer[Any]):
    """What can be changed of a segment; its slug stays, flows name it, and so does its type."""

    name = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    rule = RuleField(required=False, allow_null=True)


class SegmentInput(SegmentFields):
    """A new segment."""

    slug = serializers.RegexField(rf"^{catalog.SLUG.pattern}$")
    type = serializers.ChoiceField(Segment.Type.choices, required=False)


class SegmentReplacement(SegmentFields):
    """All that can be changed of a segment."""

    name = serializers.CharField(max_length=255)
    rule = RuleField(allow_null=True)


class SegmentShape(serializers.Serializer[Segment]):
    """A segment; `evaluated_at` is null until everybody has been looked at once."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    type = serializers.ChoiceField(Segment.Type.choices)
    rule = RuleField(allow_null=True)
    member_count = serializers.IntegerField()
    evaluated_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PreviewInput(serializers.Serializer[Any]):
    """A rule to try."""

    rule = RuleField()


class PreviewShape(serializers.Serializer[Any]):
    """How many customers match, and some of them."""

    count = serializers.IntegerField()
    sample = serializers.ListField(child=serializers.CharField())


class MemberShape(serializers.Serializer[SegmentMember]):
    """A member."""

    external_id = serializers.CharField(source="customer.external_id")
    email = serializers.CharField(source="customer.email")
    name = serializers.CharField(source="customer.name")
    since = serializers.DateTimeField()


class SegmentsView(TenantView):
    """The tenant's segments."""

    paginated = True
    Output = SegmentShape

    def get(self, request: TenantRequest) -> Response:
        """List segments, newest first."""
        return self.paginate(Segment.objects.for_tenant(request.tenant), SegmentShape)

    @extend_schema(request=SegmentInput, responses={201: SegmentShape})
    def post(self, request: TenantRequest) -> Response:
        """Make a segment; the members of a dynamic one are found in the background."""
        segment = catalog.create(request.tenant, self.parse(SegmentInput))
        return Response(SegmentShape(segment).data, status=201)


class SegmentPreviewView(TenantView):
    """Trying a rule."""

    @extend_schema(request=PreviewInput, responses=PreviewShape)
    def post(self, request: TenantRequest) -> Response:
        """Count the customers whom a rule matches now; nothing is changed."""
        rule = catalog.read_rule(self.parse(PreviewInput)["rule"])
        count, sample = evaluation.preview(request.tenant.pk, rule, clock.now(), sample=SAMPLE)
        return Response({"count": count, "sample": sample})


class _OneSegment(TenantView):
    def segment(self, key: str) -> Segment:
        """The segment of this id or slug."""
        return self.get_row(Segment, key) if _is_id(key) else self.get_row(Segment, key, field="slug")


class SegmentView(_OneSegment):
    """One segment, by its id or its slug."""

    Output = SegmentShape

    def get(self, request: TenantRequest, segment_id: str) -> Response:
        """Show a segment."""
        return Response(SegmentShape(self.segment(segment_id)).data)

    @extend_schema(request=SegmentFields)
    def patch(self, request: TenantRequest, segment_id: str) -> Response:
        """Change a segment; under a new rule everybody is looked at again."""
        segment = catalog.change(self.segment(segment_id), self.parse(SegmentFields))
        return Response(SegmentShape(segment).data)

    @extend_schema(request=SegmentReplacement)
    def put(self, request: TenantRequest, segment_id: str) -> Response:
        """Replace what can be changed of a segment."""
        segment = self.segment(segment_id)
        given = {"description": "", **self.parse(SegmentReplacement)}
        return Response(SegmentShape(catalog.change(segment, given)).data)

    def delete(self, request: TenantRequest, segment_id: str) -> Response:
        """Delete a segment; flows that name it find nobody in it."""
        self.segment(segment_id).delete()
        return Response(status=204)


class SegmentEvaluateView(_OneSegment):
    """Looking at everybody again."""

    @extend_schema(request=None, responses={202: SegmentShape})
    def post(self, request: TenantRequest, segment_id: str) -> Response:
        """Evaluate a dynamic segment from scratch, in the background."""
        segment = self.segment(segment_id)
        catalog.evaluate(segment)
        return Response(SegmentShape(segment).data, status=202)


class SegmentMembersView(_OneSegment):
    """Who is in a segment."""

    paginated = True
    Output = MemberShape

    def get(self, request: TenantRequest, segment_id: str) -> Response:
        """List members, the latest first."""
        members = SegmentMember.objects.get_queryset().select_related("customer")
        return self.paginate(members, MemberShape, parts=[Part({"segment_id": self.segment(segment_id).pk})])


class SegmentMemberView(_OneSegment):
    """One member of a static segment."""

    @extend_schema(request=None, responses={204: None})
    def put(self, request: TenantRequest, segment_id: str, external_id: str) -> Response:
        """Put a customer in; nothing happens to one who is."""
        catalog.put_member(self.segment(segment_id), external_id)
        return Response(status=204)

    def delete(self, request: TenantRequest, segment_id: str, external_id: str) -> Response:
        """Take a customer out; nothing happens to one who is not in it."""
        catalog.take_member(self.segment(segment_id), external_id)
        return Response(status=204)


def _is_id(key: str) -> bool:
    try:
        UUID(key)
    except ValueError:
        return False
    return True
