"""Rows held until the transaction ends; the flow's comes before its versions'."""

from typing import TypeVar

from flows.transitions import StatefulModel
from tenants.errors import NotFound

Row = TypeVar("Row", bound=StatefulModel)


def hold(row: Row) -> Row:
    """Lock the row and read it again: the caller's copy may be old, and what is stored decides."""
    kind = type(row)
    try:
        row.refresh_from_db(from_queryset=kind.objects.select_for_update(no_key=True))
    except kind.DoesNotExist:
        raise NotFound(f"There is no {kind._meta.verbose_name} with this id.") from None  # noqa: SLF001  # a documented name
    return row
