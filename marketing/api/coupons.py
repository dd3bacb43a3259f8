"""Coupon pools over REST, and the codes in them."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import clock
from marketing.coupons import pools
from marketing.models import Coupon, CouponPool
from tenants.api.base import TenantRequest, TenantView
from tenants.api.bodies import MIB
from tenants.errors import NameTaken

SLUG = r"^[A-Za-z0-9_.\-]{1,64}$"
MAX_CODES = 100_000


class PoolInput(serializers.Serializer[Any]):
    """A new pool."""

    slug = serializers.RegexField(SLUG, max_length=64)
    name = serializers.CharField(max_length=255, required=False, allow_blank=True)


class PoolChange(serializers.Serializer[Any]):
    """Its name for people."""

    name = serializers.CharField(max_length=255, allow_blank=True)


class PoolSummary(serializers.Serializer[Any]):
    """A pool in a list."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()


class PoolShape(PoolSummary):
    """A pool with its counts."""

    total = serializers.IntegerField()
    given = serializers.IntegerField()
    left = serializers.IntegerField()


class CodesInput(serializers.Serializer[Any]):
    """New codes."""

    codes = serializers.ListField(
        child=serializers.CharField(max_length=255), min_length=1, max_length=MAX_CODES, allow_empty=False
    )


class CodesAdded(serializers.Serializer[Any]):
    """How many came in, and how many were there already or twice in the call."""

    added = serializers.IntegerField()
    duplicates = serializers.IntegerField()


class CouponShape(serializers.Serializer[Coupon]):
    """One code, and the message that has it."""

    code = serializers.CharField()
    key = serializers.CharField(allow_null=True)
    participant_id = serializers.CharField()
    taken_at = serializers.DateTimeField(allow_null=True)


class PoolsView(TenantView):
    """The tenant's coupon pools."""

    paginated = True
    Output = PoolSummary

    def get(self, request: TenantRequest) -> Response:
        """List pools by their slugs, in alphabetical order."""
        return self.paginate(CouponPool.objects.for_tenant(request.tenant), PoolSummary, ordering=("slug",))

    @extend_schema(request=PoolInput, responses={201: PoolShape})
    def post(self, request: TenantRequest) -> Response:
        """Make an empty pool."""
        given = self.parse(PoolInput)
        try:
            with transaction.atomic():
                pool = CouponPool.objects.create(
                    tenant=request.tenant, created_at=clock.now(), **{"name": given["slug"], **given}
                )
        except IntegrityError as error:
            raise NameTaken("There is a coupon pool of this slug.", attr="slug") from error
        return Response(shape_of(pool), status=201)


class PoolView(TenantView):
    """One pool, by its slug."""

    Output = PoolShape

    def get(self, request: TenantRequest, slug: str) -> Response:
        """The pool with its counts."""
        return Response(shape_of(self.get_row(CouponPool, slug, field="slug")))

    @extend_schema(request=PoolChange, responses={200: PoolShape})
    def patch(self, request: TenantRequest, slug: str) -> Response:
        """Rename it."""
        pool = self.get_row(CouponPool, slug, field="slug")
        pool.name = self.parse(PoolChange)["name"]
        pool.save(update_fields=["name"])
        return Response(shape_of(pool))

    def delete(self, request: TenantRequest, slug: str) -> Response:
        """Delete it with its codes, also those that were given; what would give one fails from now on."""
        pool = self.get_row(CouponPool, slug, field="slug")
        with transaction.atomic():
            Coupon.objects.for_tenant(request.tenant).filter(pool=pool).delete()
            pool.delete()
        return Response(status=204)


class CodesView(TenantView):
    """The codes of a pool."""

    paginated = True
    max_body = 16 * MIB
    Output = CouponShape

    def get(self, request: TenantRequest, slug: str) -> Response:
        """List codes in alphabetical order, with who got them."""
        pool = self.get_row(CouponPool, slug, field="slug")
        rows = Coupon.objects.for_tenant(request.tenant).filter(pool=pool)
        return self.paginate(rows, CouponShape, ordering=("code",))

    @extend_schema(request=CodesInput, responses={201: CodesAdded})
    def post(self, request: TenantRequest, slug: str) -> Response:
        """Put up to 100,000 codes into the pool; those that it has already are passed over."""
        pool = self.get_row(CouponPool, slug, field="slug")
        codes = self.parse(CodesInput)["codes"]
        added = pools.add(pool, codes)
        return Response({"added": added, "duplicates": len(codes) - added}, status=201)


def shape_of(pool: CouponPool) -> dict[str, Any]:
    """A pool as clients see it."""
    row = {"id": pool.pk, "slug": pool.slug, "name": pool.name, "created_at": pool.created_at, **pools.counts(pool)}
    return dict(PoolShape(row).data)
