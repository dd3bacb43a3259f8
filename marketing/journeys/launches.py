"""Launching what is due, in the background: each journey once, whoever comes second finds it launched."""

from __future__ import annotations

import logging
import time
from typing import Final
from uuid import UUID

from django.db import DatabaseError, transaction

from engine import clock, values
from engine.connections import execute, is_in_the_way
from engine.moments import iso
from marketing.journeys.holding import held
from marketing.journeys.lifecycle import launch
from marketing.models import Journey
from tenants.errors import KalciferError

logger = logging.getLogger(__name__)

IS_DUE: Final = "SELECT 1 FROM journeys WHERE launch_at IS NOT NULL AND launch_at <= %s LIMIT 1"
ACTOR: Final = "schedule"


def is_due() -> bool:
    """Whether any launch is due: one look at an index."""
    return execute(IS_DUE, [clock.now()]).fetchone() is not None


def run(slice_s: float) -> bool:
    """Launch until nothing is due, or the slice is over; what meets somebody's locks is due the next time too."""
    until, did, passed_over = time.monotonic() + slice_s, False, set[UUID]()
    while time.monotonic() < until:
        due = Journey.objects.filter(launch_at__lte=clock.now()).exclude(pk__in=passed_over)
        journey = due.order_by("launch_at", "pk").first()
        if journey is None:
            break
        try:
            _launch(journey)
            did = True
        except DatabaseError as error:
            if not is_in_the_way(error):
                raise
            logger.warning("journey.put_off", exc_info=True, extra={"journey": str(journey.pk)})
            passed_over.add(journey.pk)
    return did


def _launch(journey: Journey) -> None:
    with transaction.atomic(durable=True), held(journey):
        due = journey.launch_at
        if due is None or due > clock.now():
            return
        # Whatever goes wrong is written on the journey, which stays a draft: it must not keep the others from theirs.
        try:
            with transaction.atomic():
                launch(journey, include_existing=journey.include_existing, by=ACTOR)
        except Exception as error:
            if is_in_the_way(error):
                raise
            logger.warning("journey.not_launched", exc_info=True, extra={"journey": str(journey.pk)})
            code = error.code if isinstance(error, KalciferError) else "error"
            facts = {"at": iso(due), "code": code, "detail": values.storable(str(error))}
            Journey.objects.filter(pk=journey.pk).update(launch_at=None, launch_error=facts)
