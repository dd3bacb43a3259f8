"""What of the channels and journeys waits for somebody, on the operators' front page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from engine import clock
from marketing.models import Channel, Delivery, DeliveryStatus, Journey
from tenants.admin_troubles import CAP, Trouble, add_trouble, of_every_tenant

NEWS = timedelta(days=1)


def _resting() -> QuerySet[Any]:
    return Channel.objects.filter(enabled=True, gate__closed_until__isnull=False)


# Of the failed ones that were written last: the index knows no times.
def _failed() -> QuerySet[Any]:
    newest = of_every_tenant(Delivery.objects.filter(status=DeliveryStatus.FAILED)).order_by("-id").values("pk")[:CAP]
    return Delivery.objects.filter(pk__in=newest, created_at__gte=clock.now() - NEWS)


def _refused() -> QuerySet[Any]:
    return Journey.objects.filter(launch_error__isnull=False)


add_trouble(
    Trouble(
        _resting,
        "channel rests: its provider is in trouble",
        "channels rest: their providers are in trouble",
        "It is tried again by itself; when the provider is well, “Try again now” spares the wait.",
    )
)
add_trouble(
    Trouble(
        _failed,
        "message of the last day has failed",
        "messages of the last day have failed",
        "Its reason is on its page, where it can be sent once more.",
        f"status__exact={DeliveryStatus.FAILED}",
    )
)
add_trouble(
    Trouble(
        _refused,
        "journey was refused its launch",
        "journeys were refused their launch",
        "What was wrong stands below “refused the last time”.",
        "launch_error__isnull=0",
    )
)
