"""What is wrong now, for the operators' front page: each app adds what it knows of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.db import connection
from django.db.models import Model
from django.db.models.options import Options
from django.http import HttpRequest
from django.urls import reverse

# Looked for no further than this.
CAP = 1000

# The newest rows in some states, tenant by tenant as the indexes go, and of these the ones since a moment.
NEWEST = """
    SELECT few.id FROM tenants t CROSS JOIN unnest(%(states)s::text[]) AS wanted(status)
     CROSS JOIN LATERAL (
           SELECT found.id, found.{at} AS at FROM {table} AS found
            WHERE found.tenant_id = t.id AND found.status = wanted.status
            ORDER BY found.id DESC LIMIT %(cap)s) AS few
     WHERE %(since)s::timestamptz IS NULL OR few.at >= %(since)s
     LIMIT %(cap)s
"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    A kind of trouble: the ids of the rows in it, at most CAP, what they are called, and the way out.

    `query` narrows the list of the rows' model to them; it may be empty where that list is short.
    """

    model: type[Model]
    ids: Callable[[], list[Any]]
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


def newest(table: str, *states: str, since: datetime | None = None, at: str = "created_at") -> list[Any]:
    """Give the ids of rows in these states, of a table with an index (tenant_id, status, id)."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST.format(table=table, at=at), {"states": list(states), "since": since, "cap": CAP})
        return [row[0] for row in cursor.fetchall()]


def find(site: AdminSite, request: HttpRequest) -> Iterator[Found]:
    """Give what is wrong of what this user may see, each kind by one look."""
    for trouble in added:
        page = site.get_model_admin(trouble.model)
        ids = trouble.ids() if page.has_view_permission(request) else []
        if ids:
            yield Found(_words(trouble, len(ids)), trouble.way_out, _address(page.opts, trouble.query, ids))


def _words(trouble: Trouble, number: int) -> str:
    if number == 1:
        return f"1 {trouble.one}"
    return f"{number:,}{' or more' if number == CAP else ''} {trouble.many}"


# One row is shown itself.
def _address(opts: Options[Any], query: str, ids: list[Any]) -> str:
    name = f"admin:{opts.app_label}_{opts.model_name}"
    if len(ids) == 1:
        return reverse(f"{name}_change", args=(ids[0],))
    return f"{reverse(f'{name}_changelist')}?{query}".rstrip("?")
