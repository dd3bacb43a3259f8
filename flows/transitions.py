"""State machines of models: one table each, obeyed by every way a row can be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction

from flows.errors import IllegalTransition
from tenants.managers import TenantScopedManager, TenantScopedQuerySet

Row = TypeVar("Row", bound="StatefulModel", covariant=True)  # noqa: PLC0105  # as TenantScopedQuerySet names it


class Transitions:
    """
    The arrows of one state machine: state → states it may move to.

    Staying in a state is always allowed; a state with no arrow out is terminal.
    """

    def __init__(self, arrows: Mapping[str, Iterable[str]]) -> None:
        self.arrows = {str(source): frozenset(map(str, targets)) for source, targets in arrows.items()}

    @property
    def states(self) -> frozenset[str]:
        """Every state the machine knows."""
        return frozenset(self.arrows)

    @property
    def terminal(self) -> frozenset[str]:
        """States with no way out."""
        return frozenset(state for state, targets in self.arrows.items() if not targets)

    def allows(self, source: str, target: str) -> bool:
        """Whether a row in `source` may be written as `target`."""
        return source in self.arrows and (source == target or target in self.arrows[source])

    def sources(self, target: str) -> frozenset[str]:
        """States from which `target` can be reached in one arrow; without `target` itself."""
        return frozenset(state for state, targets in self.arrows.items() if target in targets)

    def check(self, source: str, target: str, *, of: str) -> None:
        """Raise IllegalTransition unless the arrow exists."""
        if not self.allows(source, target):
            raise IllegalTransition(of=of, current=source, target=target)

    def pairs_sql(self, *, excluding: Iterable[str] = ()) -> str:
        """
        Give the table as SQL row values, for `(was, status) IN (…)` in a set-based UPDATE.

        Staying is among them. The values are the machine's own constants, never input.
        """
        left_out = set(excluding)
        pairs = sorted(
            (source, target)
            for source, targets in self.arrows.items()
            for target in {source, *targets}
            if source not in left_out
        )
        return ", ".join(f"('{source}', '{target}')" for source, target in pairs)


class StatefulQuerySet(TenantScopedQuerySet[Row]):
    """Bulk writes obey the machine too: a row that has no arrow to the new state refuses the whole write."""

    def _name(self) -> str:
        return self.model._meta.model_name or ""  # noqa: SLF001  # a documented name

    def update(self, **kwargs: Any) -> int:
        """Update as Django does, but raise IllegalTransition if any selected row may not move to the new status."""
        if "status" not in kwargs:
            return super().update(**kwargs)
        with transaction.atomic(using=self.db):
            self._lock_and_check(str(kwargs["status"]))
            return super().update(**kwargs)

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Bulk update as Django does, with each object's move checked against its stored row."""
        objects, names = list(objs), list(fields)
        if "status" not in names:
            return super().bulk_update(objects, names, batch_size=batch_size)
        with transaction.atomic(using=self.db):
            wanted = {each.pk: str(each.status) for each in objects}
            rows: models.QuerySet[Any] = models.QuerySet(self.model, using=self.db).filter(pk__in=list(wanted))
            locked = rows.order_by("pk").select_for_update(no_key=True)
            for key, stored in locked.values_list("pk", "status"):
                self.model.TRANSITIONS.check(stored, wanted[key], of=self._name())
            # Not `super().bulk_update`: it would come back to `update` with a CASE expression for a status.
            plain = models.QuerySet[Row](self.model, using=self.db)
            return plain.bulk_update(objects, names, batch_size=batch_size)

    # Locks the rows before it looks at them, so that none can move between the check and the update.
    def _lock_and_check(self, target: str) -> None:
        locked = self.order_by("pk").select_for_update(no_key=True).values_list("status", flat=True)
        for status in set(locked):
            self.model.TRANSITIONS.check(status, target, of=self._name())


class StatefulManager(TenantScopedManager[Row]):
    """`objects` of a model whose status is guarded."""

    def get_queryset(self) -> StatefulQuerySet[Row]:
        """All rows, of all tenants."""
        return StatefulQuerySet(self.model, using=self._db)


class StatefulModel(models.Model):
    """A model whose `status` moves along `TRANSITIONS` and nowhere else."""

    TRANSITIONS: ClassVar[Transitions]
    status: Any

    objects: ClassVar[StatefulManager[Any]] = StatefulManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """
        Save, if the stored row may move to this status.

        The stored status decides, read under its lock, and not the one this copy was read with: a stale copy cannot
        undo what another writer did.
        """
        fields = kwargs.get("update_fields")
        if self._state.adding or (fields is not None and "status" not in fields):
            super().save(*args, **kwargs)
            return
        with transaction.atomic(using=kwargs.get("using")):
            rows: models.QuerySet[Any] = models.QuerySet(type(self), using=kwargs.get("using")).filter(pk=self.pk)
            row = rows.order_by().select_for_update(no_key=True)
            for stored in row.values_list("status", flat=True):
                self.TRANSITIONS.check(stored, self.status, of=self._meta.model_name or "")
            super().save(*args, **kwargs)


def status_constraint(name: str, states: Iterable[str]) -> models.CheckConstraint:
    """Make the database constraint that holds a status to its machine's states."""
    return models.CheckConstraint(name=name, condition=models.Q(status__in=sorted(states)))
