"""Pages of large lists by the indexes that have them in their order, also when a tenant or a state is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from tenants.api.parts import Part, Sought, first
from tenants.models import Tenant

COUNTED: Final = 10_000
# Of so many tenants a state is read tenant by tenant.
TENANTS: Final = 20
TENANT: Final = "tenant__id__exact"
PAGE: Final = "p"


@dataclass(frozen=True, slots=True)
class Walk:
    """The parts of a list, and the columns in whose order their indexes are, the last first."""

    rows: QuerySet[Any]
    columns: tuple[str, ...]
    parts: Sequence[Part]

    def first(self, many: int) -> list[Any]:
        """Give the first rows."""
        sought = Sought(UUID(int=0), self.columns, upwards=False, place=(), many=many)
        return first(self.rows.order_by(), sought, self.parts)


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """Counts no further than COUNTED rows: who wants later ones filters, or goes by the API's cursors."""

    walk: Walk | None = None

    @cached_property
    def count(self) -> int:
        """Count the rows, up to the cap."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by().values("pk")[:COUNTED].count()

    def page(self, number: Any) -> Page[Any]:
        """Give a page, of a walk where there is one."""
        if self.walk is None:
            return super().page(number)
        number = self.validate_number(number)
        top = min(number * self.per_page, self.count)
        rows = self.walk.first(top) if top else []
        return Page(rows[(number - 1) * self.per_page :], number, self)


@dataclass(frozen=True, slots=True)
class Walked:
    """
    Which indexes a table has that go on in the order of `columns`.

    `state` is the column of one of tenant and state, empty where there is none; `by_tenant` whether there is one of the
    tenant alone.
    """

    state: str = ""
    by_tenant: bool = True
    columns: tuple[str, ...] = ("id",)

    def along(self, page: admin.ModelAdmin[Any], request: HttpRequest) -> Walk | None:
        """Give the walk of what is chosen; none where nothing is, or something that no index begins with."""
        chosen = {name: request.GET.getlist(name) for name in request.GET if name != PAGE}
        state = f"{self.state}__exact"
        if not chosen or not chosen.keys() <= {TENANT, state} or any(len(each) > 1 for each in chosen.values()):
            return None
        tenants = _tenants(chosen.get(TENANT))
        states = chosen.get(state) or (() if self.by_tenant else self._states(page))
        if not 0 < len(tenants) <= TENANTS:
            return None
        parts = [
            Part({"tenant_id": tenant, **({self.state: each} if each else {})})
            for tenant in tenants
            for each in states or ("",)
        ]
        related = page.list_select_related
        rows = page.get_queryset(request)
        return Walk(rows.select_related(*related) if isinstance(related, tuple) else rows, self.columns, parts)

    def _states(self, page: admin.ModelAdmin[Any]) -> Sequence[str]:
        return [value for value, _ in page.model._meta.get_field(self.state).choices or ()]  # noqa: SLF001  # its public name


class Among(admin.AllValuesFieldListFilter):
    """A filter by the values that a column may have; Django's own reads them from all rows of the table."""

    values: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *given: Any, **named: Any) -> None:
        """Offer them."""
        super().__init__(*given, **named)
        self.lookup_choices = self.values  # type: ignore[assignment]  # Django goes through it, and asks for its length


def among(*values: str) -> type[Among]:
    """Make the filter of a column with these values."""
    return type("AmongThese", (Among,), {"values": values})


def _tenants(chosen: list[str] | None) -> list[UUID]:
    if chosen is None:
        return list(Tenant.objects.values_list("pk", flat=True)[: TENANTS + 1])
    try:
        return [Tenant._meta.pk.to_python(key) for key in chosen]  # noqa: SLF001  # Django's own name for public options
    except ValidationError:
        return []
