"""Which aggregate: a type of the user's own, and an id that is a UUID or a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

import uuid_utils

from engine.errors import InvalidAggregate
from engine.event_store.upcasters import RESERVED

AggregateRef = tuple[str, UUID | str]

TYPE_LENGTH: Final = 32
NAME_LENGTH: Final = 255
UUID_LENGTH: Final = 36


@dataclass(frozen=True, slots=True)
class Address:
    """An aggregate as the log names it; ids are texts."""

    tenant_id: str
    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


def address_of(tenant_id: str, aggregate: AggregateRef) -> Address:
    """
    Give the address of `("account", id)`; raise InvalidAggregate for what is none.

    A text that is written as a UUID is that UUID. Any other name gets an id made of tenant, type and name: the same
    name is another aggregate for another tenant, and of another type.
    """
    if not isinstance(aggregate, tuple) or len(aggregate) != 2:  # noqa: PLR2004  # a type and an id
        raise InvalidAggregate(attr="aggregate")
    kind, key = aggregate
    if not is_text(kind, TYPE_LENGTH):
        raise InvalidAggregate(
            f"The type of an aggregate has to be a printable text of 1 to {TYPE_LENGTH} characters.",
            attr="aggregate.type",
        )
    if kind in RESERVED:
        raise InvalidAggregate(f"Aggregates of type {kind!r} are the engine's own.", attr="aggregate.type")
    if isinstance(key, UUID):
        return Address(tenant_id, kind, str(key))
    if not is_text(key, NAME_LENGTH):
        raise InvalidAggregate(
            f"The id of an aggregate has to be a UUID, or a printable name of 1 to {NAME_LENGTH} characters.",
            attr="aggregate.id",
        )
    return Address(tenant_id, kind, _written_uuid(key) or _named(tenant_id, kind, key))


def is_text(value: object, length: int) -> bool:
    """Tell whether a value is a text that can be shown: not blank, and nothing in it that cannot be stored."""
    return isinstance(value, str) and 0 < len(value) <= length and value.isprintable() and not value.isspace()


def _written_uuid(text: str) -> str | None:
    if len(text) != UUID_LENGTH:
        return None
    try:
        return str(uuid_utils.UUID(text))
    except ValueError:
        return None


# A line break is in no printable text, so no other type and name make the same.
def _named(tenant_id: str, kind: str, name: str) -> str:
    return str(uuid5(UUID(tenant_id), f"{kind}\n{name}"))
