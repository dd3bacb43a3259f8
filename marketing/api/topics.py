"""Topics over REST: what customers subscribe to."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import clock
from marketing.models import Topic
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import NameTaken


class TopicFields(serializers.Serializer[Any]):
    """What can be changed of a topic; its slug stays, flows name it."""

    name = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    opt_in = serializers.BooleanField(required=False)


class TopicInput(TopicFields):
    """A new topic; with `opt_in`, silence means no."""

    slug = serializers.RegexField(r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,63}$")


class TopicShape(serializers.Serializer[Topic]):
    """A topic."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    opt_in = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class TopicsView(TenantView):
    """The tenant's topics."""

    paginated = True
    Output = TopicShape

    def get(self, request: TenantRequest) -> Response:
        """List topics, newest first."""
        return self.paginate(Topic.objects.for_tenant(request.tenant), TopicShape)

    @extend_schema(request=TopicInput, responses={201: TopicShape})
    def post(self, request: TenantRequest) -> Response:
        """Make a topic."""
        given = self.parse(TopicInput)
        topic = Topic(tenant=request.tenant, created_at=clock.now(), **{"name": given["slug"], **given})
        try:
            with transaction.atomic():
                topic.save(force_insert=True)
        except IntegrityError as error:
            raise NameTaken("There is a topic of this slug.", attr="slug") from error
        return Response(TopicShape(topic).data, status=201)


class TopicView(TenantView):
    """One topic, by its slug."""

    Output = TopicShape

    def get(self, request: TenantRequest, slug: str) -> Response:
        """Show a topic."""
        return Response(TopicShape(self.get_row(Topic, slug, field="slug")).data)

    @extend_schema(request=TopicFields)
    def patch(self, request: TenantRequest, slug: str) -> Response:
        """Change a topic; what silence means changes for all who have said nothing."""
        topic = self.get_row(Topic, slug, field="slug")
        given = self.parse(TopicFields)
        for name, value in given.items():
            setattr(topic, name, value)
        if given:
            topic.save(update_fields=list(given))
        return Response(TopicShape(topic).data)

    def delete(self, request: TenantRequest, slug: str) -> Response:
        """Delete a topic; what customers have said of it is kept."""
        self.get_row(Topic, slug, field="slug").delete()
        return Response(status=204)
