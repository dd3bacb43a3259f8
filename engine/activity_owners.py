"""Who is told what became of an activity, beside its instance: sagas, roll-backs, lanes of deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class News:
    """What became of an activity; `status` is the one it has now, `result` and `error` as its row keeps them."""

    activity_id: str
    kind: str
    tenant_id: str
    instance_id: str | None
    saga_id: str | None
    lane: str
    node_id: str
    attempt: int
    status: str
    result: JSON | None
    error: JSON | None


class Owner(Protocol):
    """Speaks for the activities of one kind; both methods run in the transaction that moves the activities."""

    def lock(self, concerned: Sequence[News]) -> None:
        """Lock own rows, sorted, before the activities' are touched: whoever holds the former may want the latter."""

    def hear(self, moved: Sequence[News], metadata: JSON) -> None:
        """Take note of activities whose row was moved; late attempts are not among them."""


_owners: dict[str, Owner] = {}


def register(kind: str, owner: Owner) -> None:
    """Have `owner` told of activities of this kind."""
    _owners[kind] = owner


def lock(news: Iterable[News]) -> None:
    """Have the owners lock what is theirs, one owner after the other, always in the same order."""
    for owner, theirs in _by_owner(news):
        owner.lock(theirs)


def tell(news: Iterable[News], metadata: JSON) -> None:
    """Tell the owners what was moved."""
    for owner, theirs in _by_owner(news):
        owner.hear(theirs, metadata)


# All kinds of one owner at once, so that it locks its rows in one order.
def _by_owner(news: Iterable[News]) -> list[tuple[Owner, list[News]]]:
    found: dict[str, list[News]] = {}
    for each in news:
        if each.kind in _owners:
            found.setdefault(_leading(each.kind), []).append(each)
    return [(_owners[kind], theirs) for kind, theirs in sorted(found.items())]


def _leading(kind: str) -> str:
    return min(other for other, owner in _owners.items() if owner is _owners[kind])
