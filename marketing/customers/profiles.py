"""What is done to profiles from outside of flows: each in one transaction, with its audit and its notices."""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from engine import clock
from marketing.consent import preferences
from marketing.customers import fields
from marketing.errors import CustomerErased, CustomerExists
from marketing.models import Customer
from marketing.segments import changes
from tenants.errors import Invalid, NotFound, Problem
from tenants.models import Tenant

JSON = dict[str, Any]
State = Customer.State

_TRIES: Final = 3


def listed() -> QuerySet[Customer]:
    """Give the customers who are there, of all tenants."""
    return Customer.objects.get_queryset().exclude(state=State.ERASED)


def found_by(*, search: str = "", tag: str = "") -> tuple[Q, ...]:
    """
    Give the conditions, each with its own index, of customers whose external_id, e-mail or name begins so.

    Those with a tag are gathered by the tag, and once; no conditions where nothing is asked for.
    """
    with_tag = Q(tags__contains=[tag])
    if not search:
        return (with_tag,) if tag else ()
    beginning = (
        Q(external_id__startswith=search),
        Q(email__istartswith=search) & ~Q(email=""),
        Q(name__istartswith=search) & ~Q(name=""),
    )
    return (with_tag & reduce(or_, beginning),) if tag else beginning


def create(tenant: Tenant, external_id: str, given: Mapping[str, Any], *, actor: str = "") -> Customer:
    """Make a customer; CustomerExists where there is one."""
    now = clock.now()
    customer = Customer(tenant=tenant, external_id=external_id, created_at=now, updated_at=now)
    with transaction.atomic():
        _fill(customer, given)
        try:
            with transaction.atomic():
                customer.save(force_insert=True)
        except IntegrityError as error:
            raise CustomerExists(attr="external_id") from error
        if said := given.get("preferences"):
            preferences.merge(customer, said, source="api", actor=actor)
        changes.note(tenant.pk, [external_id], {"fields": [changes.EVERYTHING]})
    return customer


def replace(tenant: Tenant, external_id: str, given: Mapping[str, Any], *, actor: str = "") -> tuple[Customer, bool]:
    """Make a customer, or make an existing one just this; the second value says whether it is new."""
    with transaction.atomic():
        # Whose erasure ends between the two looks has given the id back.
        for _ in range(_TRIES):
            try:
                return create(tenant, external_id, given, actor=actor), True
            except CustomerExists:
                customer = _locked_if_there(tenant, external_id)
            if customer is not None:
                return _made(customer, given, actor), False
        raise CustomerErased


def _locked_if_there(tenant: Tenant, external_id: str) -> Customer | None:
    try:
        return locked(tenant, external_id)
    except NotFound:
        return None


def _made(customer: Customer, given: Mapping[str, Any], actor: str) -> Customer:
    empty: JSON = {**dict.fromkeys(fields.COLUMNS, ""), "tags": []}
    customer.properties = {}
    _save(customer, {**empty, **given})
    said = preferences.overlaid({}, given.get("preferences", {}))
    preferences.put(customer, said, source="api", actor=actor)
    changes.note(customer.tenant_id, [customer.external_id], {"fields": [changes.EVERYTHING]})
    return customer


def change(tenant: Tenant, external_id: str, given: Mapping[str, Any], *, actor: str = "") -> Customer:
    """Change what is given of a customer; properties are merged (RFC 7396)."""
    with transaction.atomic():
        customer = locked(tenant, external_id)
        _save(customer, given)
        if said := given.get("preferences"):
            preferences.merge(customer, said, source="api", actor=actor)
        changes.note(tenant.pk, [customer.external_id], {"fields": _read_by(given), "tags": "tags" in given})
    return customer


def tag(tenant: Tenant, external_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Customer:
    """Add tags and remove others; a tag in both is removed."""
    with transaction.atomic():
        customer = locked(tenant, external_id)
        before = list(customer.tags)
        customer.tags = _within(fields.with_tags(before, tuple(add), tuple(remove)))
        if customer.tags != before:
            customer.updated_at = clock.now()
            customer.save(update_fields=["tags", "updated_at"])
            changes.note(tenant.pk, [customer.external_id], {"tags": True})
    return customer


def found(tenant: Tenant | UUID, external_id: str, *, lock: bool = False) -> Customer:
    """Give a customer, or the one that it was merged into; NotFound where there is none."""
    rows = Customer.objects.for_tenant(tenant).exclude(state=State.ERASED)
    customer = rows.filter(external_id=external_id).first()
    # Only the one that is given is locked: a merge locks both in the order of their ids. What was merged while its lock
    # was waited for is followed on.
    held = not lock
    while customer is not None and (customer.state == State.MERGED or not held):
        whose = customer.merged_into if customer.state == State.MERGED else customer.external_id
        held = True
        customer = (rows.select_for_update(no_key=True) if lock else rows).filter(external_id=whose).first()
    if customer is None:
        raise NotFound("There is no customer with this external_id.")
    return customer


def locked(tenant: Tenant, external_id: str) -> Customer:
    """Give a customer under the lock of its row; CustomerErased where it is on its way out."""
    customer = found(tenant, external_id, lock=True)
    if customer.state == State.DELETING:
        raise CustomerErased
    return customer


def _save(customer: Customer, given: Mapping[str, Any]) -> None:
    _fill(customer, given)
    customer.updated_at = clock.now()
    customer.save(update_fields=[*fields.COLUMNS, "properties", "tags", "updated_at"])


def _fill(customer: Customer, given: Mapping[str, Any]) -> None:
    profile: JSON = {name: getattr(customer, name) for name in fields.COLUMNS}
    profile["properties"] = fields.merged(customer.properties, given.get("properties", {}))
    for name in fields.COLUMNS:
        if name in given:
            fields.put(profile, name, given[name])
    if fields.is_too_large(profile["properties"]):
        detail = f"The properties of a customer are at most {fields.MAX_PROPERTIES} bytes of JSON."
        raise Invalid([Problem("too_large", detail, "properties")])
    for name, value in profile.items():
        setattr(customer, name, value)
    if "tags" in given:
        customer.tags = _within(fields.with_tags([], tuple(given["tags"])))


def _within(tags: list[str]) -> list[str]:
    if len(tags) > fields.MAX_TAGS:
        raise Invalid([Problem("too_many_tags", f"A customer has at most {fields.MAX_TAGS} tags.", "tags")])
    return tags


def _read_by(given: Mapping[str, Any]) -> list[str]:
    columns = [name for name in fields.COLUMNS if name in given]
    return columns + [f"properties.{name}" for name in given.get("properties", {})]
