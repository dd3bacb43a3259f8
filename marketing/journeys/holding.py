"""The locks of a journey's verbs: the flow, then the journey."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from flows import locks
from flows.models import Flow
from marketing.models import Journey


@contextmanager
def held(journey: Journey) -> Iterator[Flow]:
    """Hold a journey and its flow, both as they are stored now, until the transaction ends."""
    with transaction.atomic():
        flow = Flow.objects.select_for_update(no_key=True).get(pk=journey.flow_id)
        locks.hold(journey)
        journey.flow = flow
        yield flow
