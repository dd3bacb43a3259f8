"""What is wrong now, for the operators' front page: each app adds what it knows of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.db.models.options import Options
from django.http import HttpRequest
from django.urls import reverse

from tenants.models import Tenant

# Counted no further than this.
CAP = 1000


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    A kind of trouble: its rows, what they are called, and the way out.

    `query` narrows the list of the rows' model to them; it may be empty where that list is short.
    """

    rows: Callable[[], QuerySet[Any]]
    one: str
    many: str
    way_out: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A trouble that is there: in words, and where to see to it."""

    what: str
    way_out: str
    address: str


added: list[Trouble] = []


def add_trouble(trouble: Trouble) -> None:
    """Tell of this kind of trouble on the front page."""
    added.append(trouble)


def of_every_tenant(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Look rows up under every tenant: the indexes begin with the tenant."""
    return rows.filter(tenant_id__in=Tenant.objects.values("pk"))


def find(site: AdminSite, request: HttpRequest) -> Iterator[Found]:
    """Give what is wrong of what this user may see, each kind by one look at no more than CAP rows."""
    for trouble in added:
        rows = trouble.rows()
        page = site.get_model_admin(rows.model)
        keys = list(rows.order_by().values_list("pk", flat=True)[:CAP]) if page.has_view_permission(request) else []
        if keys:
            yield Found(_words(trouble, len(keys)), trouble.way_out, _address(page.opts, trouble.query, keys))


def _words(trouble: Trouble, number: int) -> str:
    if number == 1:
        return f"1 {trouble.one}"
    return f"{number:,}{' or more' if number == CAP else ''} {trouble.many}"


# One row is shown itself.
def _address(opts: Options[Any], query: str, keys: list[Any]) -> str:
    name = f"admin:{opts.app_label}_{opts.model_name}"
    if len(keys) == 1:
        return reverse(f"{name}_change", args=(keys[0],))
    return f"{reverse(f'{name}_changelist')}?{query}".rstrip("?")
