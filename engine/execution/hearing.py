"""What the filters of waits, goals and exits see of a run, beside the event that they are asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine import ports
from engine.execution.burst import Burst, Known
from engine.expressions import Scope

JSON = dict[str, Any]


def scope_of(burst: Burst, event: Mapping[str, Any]) -> Scope:
    """Give what a filter of a run is asked with."""
    state = burst.state
    run = {
        "id": state.id,
        "participant_id": state.participant_id,
        "flow": state.flow_id,
        "version": state.version,
        "entered_at": state.entered_at,
    }
    return Scope(
        entry=state.entry,
        event=event,
        participant=burst.known.participant,
        accumulated=state.accumulated,
        outcomes=state.outcomes,
        run=run,
        now=burst.now,
        deliveries=burst.known.deliveries,
        aliases=burst.program.aliases,
    )


def look_up(asked: Iterable[tuple[Burst, str | None]]) -> None:
    """
    Have runs know what these filters, as JSON, read of the profile and of deliveries.

    A query of each kind per tenant, and none where no filter reads it.
    """
    profiles: dict[str, list[Burst]] = {}
    deliveries: dict[str, list[Burst]] = {}
    for burst, text in asked:
        if text is not None and '"participant' in text:
            profiles.setdefault(burst.state.tenant_id, []).append(burst)
        if text is not None and ".delivery" in text:
            deliveries.setdefault(burst.state.tenant_id, []).append(burst)
    for tenant_id, some in profiles.items():
        people = ports.bound().profiles.fetch_many(tenant_id, sorted({each.state.participant_id for each in some}))
        for burst in some:
            burst.known = Known(people.get(burst.state.participant_id), burst.known.deliveries)
    for tenant_id, some in deliveries.items():
        states = ports.bound().deliveries.states_many(tenant_id, sorted({each.state.id for each in some}))
        for burst in some:
            burst.known = Known(burst.known.participant, states.get(burst.state.id, {}))
