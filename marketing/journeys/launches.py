"""Launching what is due, in the background: each journey once, whoever comes second finds it launched."""

from __future__ import annotations

import logging
import time
from typing import Final

from django.db import transaction

from engine import clock
from engine.connections import execute
from engine.moments import iso
from marketing.journeys.holding import held
from marketing.journeys.lifecycle import launch
from marketing.models import Journey
from tenants.errors import KalciferError

logger = logging.getLogger(__name__)

NEXT: Final = "SELECT id FROM journeys WHERE launch_at IS NOT NULL AND launch_at <= %s ORDER BY launch_at LIMIT 1"
ACTOR: Final = "schedule"


def is_due() -> bool:
    """Whether any launch is due: one look at an index."""
    return execute(NEXT, [clock.now()]).fetchone() is not None


def run(slice_s: float) -> bool:
    """Launch until nothing is due, or the slice is over."""
    until, did = time.monotonic() + slice_s, False
    while time.monotonic() < until:
        row = execute(NEXT, [clock.now()]).fetchone()
        if row is None:
            break
        _launch(Journey(pk=row[0], flow_id=Journey.objects.values_list("flow_id", flat=True).get(pk=row[0])))
        did = True
    return did


# A launch that is refused says so on the journey, which stays a draft and is not tried again.
def _launch(journey: Journey) -> None:
    with transaction.atomic(durable=True), held(journey):
        due = journey.launch_at
        if due is None or due > clock.now():
            return
        try:
            with transaction.atomic():
                launch(journey, include_existing=journey.include_existing, by=ACTOR)
        except KalciferError as error:
            logger.warning("journey.not_launched", extra={"journey": str(journey.pk), "code": error.code})
            facts = {"at": iso(due), "code": error.code, "detail": error.detail}
            Journey.objects.filter(pk=journey.pk).update(launch_at=None, launch_error=facts)
