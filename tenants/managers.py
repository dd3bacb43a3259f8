"""The one place where rows are narrowed to a tenant; every model with a `tenant` uses this manager."""

from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from django.db import models

if TYPE_CHECKING:
    from tenants.models import Tenant

Row_co = TypeVar("Row_co", bound=models.Model, covariant=True)


class TenantScopedQuerySet(models.QuerySet[Row_co]):
    """Rows of a tenant, by a foreign key or a plain column; `TenantView` refuses any other kind of queryset.

    A model with more to ask derives from it: `objects = TenantScopedManager.from_queryset(FlowQuerySet)()`.
    """

    def for_tenant(self, tenant: "Tenant | UUID") -> Self:
        """The rows of this tenant, given as the row or as its id."""
        return self.filter(tenant_id=getattr(tenant, "pk", tenant))


class TenantScopedManager(models.Manager[Row_co]):
    """`objects` of a model with a `tenant` or `tenant_id`."""

    def get_queryset(self) -> TenantScopedQuerySet[Row_co]:
        """All rows, of all tenants."""
        return TenantScopedQuerySet(self.model, using=self._db)

    def for_tenant(self, tenant: "Tenant | UUID", **filters: Any) -> TenantScopedQuerySet[Row_co]:
        """The rows of this tenant, given as the row or as its id."""
        return self.get_queryset().for_tenant(tenant).filter(**filters)
