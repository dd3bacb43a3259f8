"""Puts the sample into a tenant: whatever of it is there already is left as it is."""

import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from importlib import resources
from typing import Any

from engine import clock
from kalcifer.demo.sample import people
from marketing.channels import editing
from marketing.coupons import pools
from marketing.journeys import catalog as journeys
from marketing.journeys import lifecycle
from marketing.models import Channel, CouponPool, Customer, Journey, Link, Segment, Template, Topic
from marketing.segments import catalog as segments
from marketing.segments import due
from marketing.templates import store
from tenants.models import Tenant

JSON = dict[str, Any]

TENANT = "Demo"
JOURNEYS = ("trial", "cart", "win_back", "re_permission", "escalation")
CHANNELS = ("email", "sms", "push", "whatsapp")
CUSTOMERS = 5_000
SEED = 1
AT_ONCE = 1_000
PATIENCE_S = 30.0


@dataclass(slots=True)
class Loaded:
    """How many of each kind were not there before."""

    topics: int = 0
    links: int = 0
    coupons: int = 0
    templates: int = 0
    channels: int = 0
    customers: int = 0
    segments: int = 0
    journeys: int = 0
    flows: dict[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return {name: count for name, count in asdict(self).items() if isinstance(count, int)}


def load(tenant: Tenant, *, customers: int = CUSTOMERS, seed: int = SEED) -> Loaded:
    """Put the sample into a tenant; may be called again, and goes on where it was stopped."""
    world, now, loaded = _read("sample/world.json"), clock.now(), Loaded()
    loaded.topics = _missing(Topic, tenant, world["topics"], lambda each: Topic.objects.create(
        tenant=tenant, created_at=now, **each))  # fmt: skip
    loaded.links = _missing(Link, tenant, world["links"], lambda each: Link.objects.create(
        tenant=tenant, created_at=now, **each))  # fmt: skip
    loaded.coupons = _missing(CouponPool, tenant, world["coupon_pools"], lambda each: _fill(tenant, each))
    loaded.templates = _missing(Template, tenant, world["templates"], lambda each: _write(tenant, each))
    loaded.channels = sum(_connect(tenant, channel) for channel in CHANNELS)
    loaded.customers = _settle(tenant, customers, seed)
    loaded.segments = _missing(Segment, tenant, world["segments"], lambda each: segments.create(tenant, each))
    _know_members()
    for name in JOURNEYS:
        journey, is_new = _launch(tenant, graph(name))
        loaded.flows[name] = str(journey.flow_id)
        loaded.journeys += is_new
    return loaded


def graph(name: str) -> JSON:
    """Give a journey of the sample."""
    found: JSON = _read(f"journeys/{name}.json")
    return found


def _read(path: str) -> Any:
    return json.loads(resources.files("kalcifer.demo").joinpath(*path.split("/")).read_text(encoding="utf-8"))


def _missing(model: Any, tenant: Tenant, wanted: Iterable[JSON], make: Callable[[JSON], object]) -> int:
    there = set(model.objects.for_tenant(tenant).values_list("slug", flat=True))
    new = [each for each in wanted if each["slug"] not in there]
    for each in new:
        make(each)
    return len(new)


def _fill(tenant: Tenant, given: JSON) -> None:
    pool = CouponPool.objects.create(tenant=tenant, slug=given["slug"], name=given["name"], created_at=clock.now())
    pools.add(pool, (f"BACK-{secrets.token_hex(4).upper()}-{number:04}" for number in range(given["codes"])))


def _write(tenant: Tenant, given: JSON) -> None:
    store.create(
        tenant, given["slug"], channel=given["channel"], parts=given["content"], locales=given.get("locales"),
        name=given["slug"].replace("_", " ").capitalize(),
    )  # fmt: skip


def _connect(tenant: Tenant, channel: str) -> bool:
    if Channel.objects.for_tenant(tenant).filter(channel=channel).exists():
        return False
    editing.create(tenant, {"name": f"{channel} (log)", "channel": channel, "provider": "log"})
    return True


def _settle(tenant: Tenant, count: int, seed: int) -> int:
    before = Customer.objects.for_tenant(tenant).count()
    rows = list(people.draw(tenant, count=count, seed=seed, now=clock.now()))
    for start in range(0, len(rows), AT_ONCE):
        Customer.objects.bulk_create(rows[start : start + AT_ONCE], ignore_conflicts=True)
    return Customer.objects.for_tenant(tenant).count() - before


# Whoever is in a segment when a journey over it is launched goes in too; a running system may be quicker than this.
def _know_members() -> None:
    until = time.monotonic() + PATIENCE_S
    while due.is_due() and time.monotonic() < until:
        due.run(1.0)


def _launch(tenant: Tenant, raw: JSON) -> tuple[Journey, bool]:
    journey = Journey.objects.for_tenant(tenant).filter(name=raw["name"]).order_by("id").first()
    is_new = journey is None
    if journey is None:
        journey = journeys.create(tenant, raw["name"], graph=raw, description=raw["description"], tags=["sample"])
    if journey.status == "draft":
        lifecycle.launch(journey, by="sample")
    return journey, is_new
