"""What of the channels and journeys waits for somebody, on the operators' front page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engine import clock
from marketing.models import Channel, Delivery, DeliveryStatus, Journey
from tenants.admin_troubles import CAP, Trouble, add_trouble, newest

NEWS = timedelta(days=1)


def _resting() -> list[Any]:
    resting = Channel.objects.filter(enabled=True, gate__closed_until__isnull=False)
    return list(resting.values_list("pk", flat=True)[:CAP])


def _failed() -> list[Any]:
    return newest("deliveries", DeliveryStatus.FAILED, since=clock.now() - NEWS)


def _refused() -> list[Any]:
    refused = Journey.objects.filter(launch_error__isnull=False)
    return list(refused.values_list("pk", flat=True)[:CAP])


add_trouble(
    Trouble(
        Channel,
        _resting,
        "channel rests: its provider is in trouble",
        "channels rest: their providers are in trouble",
        "It is tried again by itself; when the provider is well, “Try again now” spares the wait.",
    )
)
add_trouble(
    Trouble(
        Delivery,
        _failed,
        "message of the last day has failed",
        "messages of the last day have failed",
        "Its reason is on its page, where it can be sent once more.",
        f"status__exact={DeliveryStatus.FAILED}",
    )
)
add_trouble(
    Trouble(
        Journey,
        _refused,
        "journey was refused its launch",
        "journeys were refused their launch",
        "What was wrong stands below “refused the last time”.",
        "launch_error__isnull=0",
    )
)
