"""Links over REST: the tenant's own pages, by the name that messages use."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import clock
from marketing.links.addresses import BUILT_IN
from marketing.models import Link
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import NameTaken

SLUG = r"^[A-Za-z0-9_.\-]{1,64}$"


class LinkChange(serializers.Serializer[Any]):
    """Where it leads."""

    url = serializers.CharField(max_length=2048)

    def validate_url(self, value: str) -> str:
        """An address of the web: a message never leads to a script or a file."""
        try:
            parts = urlsplit(value)
            fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and value.isprintable()
        except ValueError:
            fine = False
        if not fine or " " in value:
            raise serializers.ValidationError("Write an address that begins with https:// or http://.", "invalid")
        return value


class LinkInput(LinkChange):
    """A new link."""

    slug = serializers.RegexField(SLUG, max_length=64)


class LinkShape(serializers.Serializer[Link]):
    """A link."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    url = serializers.CharField()
    created_at = serializers.DateTimeField()


class LinksView(TenantView):
    """The tenant's links; `unsubscribe` and `consent_confirm` are there from the start and in no list."""

    paginated = True
    Output = LinkShape

    def get(self, request: TenantRequest) -> Response:
        """List links by their slugs, in alphabetical order."""
        return self.paginate(Link.objects.for_tenant(request.tenant), LinkShape, ordering=("slug",))

    @extend_schema(request=LinkInput, responses={201: LinkShape})
    def post(self, request: TenantRequest) -> Response:
        """Make a link."""
        given = self.parse(LinkInput)
        if given["slug"] in BUILT_IN:
            raise NameTaken("This link is built in.", attr="slug")
        try:
            with transaction.atomic():
                link = Link.objects.create(tenant=request.tenant, created_at=clock.now(), **given)
        except IntegrityError as error:
            raise NameTaken("There is a link of this slug; PATCH changes where it leads.", attr="slug") from error
        return Response(LinkShape(link).data, status=201)


class LinkView(TenantView):
    """One link, by its slug."""

    Output = LinkShape

    def get(self, request: TenantRequest, slug: str) -> Response:
        """Where it leads."""
        return Response(LinkShape(self.get_row(Link, slug, field="slug")).data)

    @extend_schema(request=LinkChange, responses={200: LinkShape})
    def patch(self, request: TenantRequest, slug: str) -> Response:
        """Lead elsewhere; links that were sent already do so too."""
        link = self.get_row(Link, slug, field="slug")
        link.url = self.parse(LinkChange)["url"]
        link.save(update_fields=["url"])
        return Response(LinkShape(link).data)

    def delete(self, request: TenantRequest, slug: str) -> Response:
        """Delete it; links that were sent already lead to a page that says so."""
        self.get_row(Link, slug, field="slug").delete()
        return Response(status=204)
