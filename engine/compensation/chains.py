"""
A roll-back as a Celery chain: so many links as there is to undo, each of them "do what is next of these".

The chain carries ids and nothing else. Plan and progress are in PostgreSQL: a chain that is lost is made up for by the
activity workers and the sweep, and a link that comes twice finds nothing to do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import orjson
from celery import chain, current_app

from engine import bell_messages
from engine.bells import ringer

logger = logging.getLogger(__name__)

TASK = "engine.compensate_next"
QUEUE = "activities"
# So many roll-backs go hand in hand in one chain; the workers share the chains.
IDS_PER_CHAIN = 50
# Longer roll-backs are finished by the activity workers.
MOST_LINKS = 50


def publish(*, saga_ids: Sequence[str] = (), instance_ids: Sequence[str] = (), links: int) -> bool:
    """
    Publish chains for these roll-backs now; tell whether the broker could be reached.

    Never raises, and costs its caller no more than a doorbell when the broker is away.
    """
    if ringer.is_silent or links < 1:
        return False
    try:
        payloads = [
            _message(sagas, instances, min(links, MOST_LINKS)) for sagas, instances in _parts(saga_ids, instance_ids)
        ]
    except Exception:
        # A chain is only a way to be quicker.
        logger.exception("chain.unmade")
        return False
    return not payloads or ringer.push(QUEUE, payloads)


def _parts(saga_ids: Sequence[str], instance_ids: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    for begin in range(0, len(saga_ids), IDS_PER_CHAIN):
        yield list(saga_ids[begin : begin + IDS_PER_CHAIN]), []
    for begin in range(0, len(instance_ids), IDS_PER_CHAIN):
        yield [], list(instance_ids[begin : begin + IDS_PER_CHAIN])


# Celery's own way to the broker may hang its caller.
def _message(saga_ids: list[str], instance_ids: list[str], links: int) -> bytes:
    link = current_app.signature(
        TASK, kwargs={"saga_ids": saga_ids, "instance_ids": instance_ids}, immutable=True, queue=QUEUE
    )
    whole = chain(*[link.clone() for _ in range(links)])
    return orjson.dumps(bell_messages.as_stored(QUEUE, lambda memory: whole.apply_async(connection=memory)))
