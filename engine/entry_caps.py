"""A flow's own cap at its entrance: whoever has got as many messages as it allows does not come in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from engine import births, clock, errors, ports
from engine.message_caps import Cap
from engine.nodes import duration


def refusals(
    of: tuple[str, str], cap: Cap, wanted: Sequence[tuple[str, str]], now: datetime
) -> dict[tuple[str, str], errors.FrequencyCapExceeded]:
    """
    Give, for the flow with this (tenant's id, id), why some of the (participant, live key) pairs may not enter.

    Whoever has a live run is none of them: that is said of those where they are refused. One query, or two.
    """
    tenant_id, flow_id = of
    who = sorted({participant_id for participant_id, _ in wanted})
    frees = ports.bound().caps.frees_many(tenant_id, [cap.of(each, flow_id, now) for each in who])
    over = {each: at for each, at in zip(who, frees, strict=True) if at is not None}
    names = [name for name in wanted if name[0] in over]
    live = births.find_live(tenant_id, flow_id, names) if names else {}
    return {name: _refusal(cap, over[name[0]]) for name in names if name not in live}


def _refusal(cap: Cap, frees_at: datetime) -> errors.FrequencyCapExceeded:
    messages = "message" if cap.max_messages == 1 else "messages"
    channel = "" if cap.channel == "all" else f" ({cap.channel})"
    detail = (
        f"The flow allows {cap.max_messages} {messages}{channel} within {duration.write(cap.time_window)}, which the"
        f" participant has got; there is room again at {frees_at.isoformat()}."
    )
    wait = clock.real_seconds_until(frees_at)
    return errors.FrequencyCapExceeded(detail, retry_after=wait if math.isfinite(wait) else None)
