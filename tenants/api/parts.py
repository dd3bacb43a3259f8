"""Finds the first rows of a list by the index that has them in its order, where the planner would have to guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.db.models import BooleanField, F, Func, Q, QuerySet, Value

# So many of a list's nearest rows are looked through before the whole list is asked for what may be rare.
WINDOW: Final = 5_000


@dataclass(frozen=True, slots=True)
class Part:
    """
    Rows of a list that are read by themselves.

    `along` are the columns with which an index begins before it goes on in the order of the list, and what they equal:
    that index is walked, and left with the page. Without them the rows are gathered by whatever index `also` has, and
    sorted. `hint` follows from `also` and says it in the words of an index.
    """

    along: Mapping[str, Any] = field(default_factory=dict)
    also: Q = field(default_factory=Q)
    hint: Q = field(default_factory=Q)

    @property
    def condition(self) -> Q:
        """Which rows these are."""
        return Q(**self.along) & self.also


@dataclass(frozen=True, slots=True)
class Sought:
    """
    So many rows of a tenant beyond a place, or from the beginning.

    `columns` are together unique and never null; `upwards` when the smallest come first.
    """

    tenant: UUID
    columns: tuple[str, ...]
    upwards: bool
    place: tuple[Any, ...]
    many: int

    def ordered(self, *names: str) -> tuple[str, ...]:
        """Give columns as `order_by` takes them."""
        return names if self.upwards else tuple(f"-{name}" for name in names)


def first(rows: QuerySet[Any], sought: Sought, parts: Sequence[Part], sifted: Part | None = None) -> list[Any]:
    """
    Give what is sought of the rows that are in one of the parts; without any, of all.

    With `sifted`, the part that all others are picked from, its nearest rows are looked through first: what is frequent
    is found there, and what is not is rare enough to be gathered.
    """
    if sifted is not None and (found := _nearby(rows, sought, parts, sifted)) is not None:
        return found
    if not parts:
        beyond = _compared(rows, sought, sought.place, "beyond") if sought.place else Q()
        theirs = rows.filter(beyond, tenant_id=sought.tenant)
        return list(theirs.order_by(*sought.ordered(*sought.columns))[: sought.many])
    if len(parts) == 1:
        return list(_read(rows, sought, parts[0])[: sought.many])
    keys = [_read(rows, sought, part).values("pk")[: sought.many] for part in parts]
    merged = rows.filter(pk__in=keys[0].union(*keys[1:], all=True))
    return list(merged.order_by(*sought.ordered(*sought.columns))[: sought.many])


def _nearby(rows: QuerySet[Any], sought: Sought, parts: Sequence[Part], sifted: Part) -> list[Any] | None:
    near = _read(rows, sought, sifted)
    edge = list(near.values_list(*sought.columns)[WINDOW - 1 : WINDOW])
    picked = near.filter(reduce(or_, (part.condition for part in parts)))
    within = picked.filter(_compared(rows, sought, edge[0], "up to")) if edge else picked
    found = list(within[: sought.many])
    return found if len(found) == sought.many or not edge else None


def _read(rows: QuerySet[Any], sought: Sought, part: Part) -> QuerySet[Any]:
    if not part.along:
        return _gathered(rows, sought, part)
    # The last column of `along` is compared by range and stands in the order: of what is equal to a value the planner
    # knows that it needs no order, and then takes any index that ends in the order's columns, such as the primary key,
    # and throws everybody else's rows away. A tenant that the index does not begin with is compared so for that reason.
    *firsts, last = part.along
    equal = {name: part.along[name] for name in firsts}
    between = {"tenant_id": sought.tenant, last: part.along[last]}
    missing = {name: value for name, value in between.items() if name not in equal}
    ranges = {f"{name}__{side}": value for name, value in missing.items() for side in ("gte", "lte")}
    beyond = _compared(rows, sought, sought.place, "beyond") if sought.place else Q()
    return rows.filter(part.also, beyond, **equal, **ranges).order_by(*sought.ordered(last, *sought.columns))


# No index knows these expressions, so that the rows are gathered by their condition alone.
def _gathered(rows: QuerySet[Any], sought: Sought, part: Part) -> QuerySet[Any]:
    columns = [Func(F(name), F(name), function="GREATEST") for name in sought.columns]
    beyond = Q(_Compared(rows, sought, columns, sought.place, "beyond")) if sought.place else Q()
    order = [column.asc() if sought.upwards else column.desc() for column in columns]
    return rows.filter(part.also, part.hint, beyond, tenant_id=sought.tenant).order_by(*order)


# Said of the first column by itself too: else an index begins where a range of it that was asked for begins, and all
# that lies before the place is read and thrown away.
def _compared(rows: QuerySet[Any], sought: Sought, place: Sequence[Any], where: str) -> Q:
    side = "gte" if sought.upwards == (where == "beyond") else "lte"
    columns = [F(name) for name in sought.columns]
    return Q(_Compared(rows, sought, columns, place, where), **{f"{sought.columns[0]}__{side}": place[0]})


class _Compared(Func):
    # (a, b) < (x, y), which an index of a and b can start from.
    def __init__(
        self, rows: QuerySet[Any], sought: Sought, columns: Sequence[Any], place: Sequence[Any], where: str
    ) -> None:
        fields = [rows.model._meta.get_field(name) for name in sought.columns]  # noqa: SLF001
        values = (Value(at, each) for at, each in zip(place, fields, strict=True))
        signs = {"beyond": ("<", ">"), "up to": (">=", "<=")}
        super().__init__(
            Func(*columns, template="(%(expressions)s)"),
            Func(*values, template="(%(expressions)s)"),
            arg_joiner=f" {signs[where][sought.upwards]} ",
            template="%(expressions)s",
            output_field=BooleanField(),
        )
