"""Customers who are made up: the same seed gives the same."""

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from marketing.models import Customer
from tenants.models import Tenant

JSON = dict[str, Any]

FIRST = ("Ada", "Alan", "Barbara", "Edsger", "Grace", "Hedy", "Jean", "Joan", "John", "Katherine", "Leslie", "Radia")
LAST = ("Bartik", "Clarke", "Dijkstra", "Hamilton", "Hopper", "Johnson", "Lamarr", "Lamport", "Liskov", "Perlman")
HOMES = (("de", "Europe/Berlin"), ("en-GB", "Europe/London"), ("en-US", "America/New_York"), ("ja", "Asia/Tokyo"))
PLANS = ("free", "free", "free", "pro", "team")


def draw(tenant: Tenant, *, count: int, seed: int, now: datetime) -> Iterator[Customer]:
    """Draw so many customers of a shop: a tenth has not ordered for long, and a few once complained."""
    dice = random.Random(seed)  # noqa: S311  # a crowd that can be drawn again is the point
    for number in range(1, count + 1):
        yield customer(tenant, f"sample-{number:05}", facts(dice, number), now)


def customer(tenant: Tenant, external_id: str, given: JSON, now: datetime) -> Customer:
    """Make a customer, who is not saved."""
    return Customer(tenant=tenant, external_id=external_id, created_at=now, updated_at=now, **given)


def facts(dice: random.Random, number: int) -> JSON:
    """Give the columns of a customer: an address that reaches nobody, and what they have bought."""
    first, last = dice.choice(FIRST), dice.choice(LAST)
    locale, timezone = dice.choice(HOMES)
    return {
        "email": f"{first}.{last}.{number}@example.com".lower(),
        # Numbers that are set aside for fiction.
        "phone": f"+4470090{number % 100_000:05}",
        "name": f"{first} {last}",
        "locale": locale,
        "timezone": timezone,
        "tags": ["complained"] if dice.random() < 0.01 else [],  # noqa: PLR2004
        "properties": {
            "plan": dice.choice(PLANS),
            "spent": round(dice.expovariate(1 / 180), 2),
            "days_since_order": dice.randint(0, 100),
            "consent_expires_in_days": dice.randint(61, 730),
        },
    }
