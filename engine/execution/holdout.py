"""Who is kept out of a flow, to compare with: the same people whenever it is asked, and about as many as it says."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from engine.execution.burst import HELD_OUT, Burst

REASON: Final = HELD_OUT


def keeps_out(burst: Burst) -> bool:
    """Tell whether a run that is about to take its first step belongs to the flow's holdout."""
    percent, state = burst.program.settings.holdout_percent, burst.state
    return percent > 0 and not state.step_count and is_in(state.flow_id, state.participant_id, percent)


def is_in(flow_id: str, participant_id: str, percent: int) -> bool:
    """Tell whether a hash of flow and participant falls into the first so many of a hundred."""
    drawn = int.from_bytes(sha256(f"{REASON}\0{flow_id}\0{participant_id}".encode()).digest())
    return drawn * 100 < percent << 256


def end(burst: Burst) -> None:
    """End the run before it has done anything; its goal is watched as everybody's is."""
    percent = burst.program.settings.holdout_percent
    burst.end("exited", {"reason": REASON, "detail": f"One of the {percent} % who are kept out.", "node": None})
