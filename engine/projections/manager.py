"""`ProjectionManager`: the projections of this process, as programs and operators handle them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from django.db.models import Subquery

from engine import bells, bridge
from engine.errors import ProjectionStopped
from engine.event_store import reading
from engine.models import ProjectionSkip
from engine.projections import checkpoints, lag, rebuilding, registry, rounds, skips
from engine.projections.lag import ProjectionStatus
from engine.projections.projection import Projection

SLICE_S: Final = 1.0
# While another worker has the rebuild in hand.
PAUSE_S: Final = 0.05


class ProjectionManager:
    """
    Registers projections, runs them, and says how they are.

    The registered projections belong to the process, not to this object. Workers run them by themselves; `run` is for
    whoever does not want to wait for that.
    """

    def register(self, projection: Projection | type[Projection]) -> Projection:
        """Have this process run a projection; to be called when the app is loaded, in workers and the web alike."""
        return registry.register(projection)

    @staticmethod
    def live_build(name: str) -> Subquery:
        """Give the number of the build that readers take, for a filter of theirs: `filter(build=live_build(name))`."""
        return checkpoints.live_build(name)

    def run_sync(self, *names: str) -> int:
        """Catch these projections up with the log, or all; give how many events were projected here."""
        return rounds.run(names)

    def status_sync(self, *names: str) -> list[ProjectionStatus]:
        """Tell where these projections stand, or all: a status for each build, the live one among them."""
        wanted = [registry.get(name) for name in names or registry.names()]
        checkpoints.ensure(wanted)
        return lag.status([each.name for each in wanted])

    def rebuild_sync(self, name: str) -> ProjectionStatus:
        """
        Build a read model anew from the first event on, and give its status when readers have all of it.

        Goes on with a rebuild that was begun and not ended. An event that cannot be projected stops it: it raises
        ProjectionStopped, readers keep what they had, and after a retry or a skip it can be called again.
        """
        *_, ended = self.rebuild_stepwise(name)
        return ended

    def rebuild_stepwise(self, name: str) -> Iterator[ProjectionStatus]:
        """Rebuild as `rebuild_sync` does, and give the build's status on the way, the last when it is done."""
        build = self.request_rebuild_sync(name)
        # Where the log goes on growing, what had been written by now is enough.
        goal = reading.head()
        while not _has_reached(goal, now := self.progress_sync(name, build)):
            yield now
            if not _go_on(name, now):
                time.sleep(PAUSE_S)
        rounds.run([name], slice_s=SLICE_S)
        yield self.progress_sync(name, build)

    def request_rebuild_sync(self, name: str) -> int:
        """Have the workers rebuild a read model; give the number of its build."""
        build = rebuilding.request(registry.get(name))
        bells.ring_on_commit(bells.Bell.PROJECT)
        return build

    def progress_sync(self, name: str, build: int) -> ProjectionStatus:
        """Tell how far a rebuild is; raise ProjectionStopped where an event has stopped it."""
        found = next((each for each in self.status_sync(name) if each.build == build), None)
        if found is None:
            raise ProjectionStopped(f"Build {build} of {name} has made way for a newer one.")
        if found.error is not None:
            error = found.error
            raise ProjectionStopped(
                f"{name} stopped at event {error['event_id']} ({error['type']}), place ({error['tx']}, "
                f"{error['position']}): {error['code']}: {error['detail']} Retry or skip it."
            )
        return found

    def retry_sync(self, name: str) -> None:
        """Have the event that stops a projection tried again now."""
        skips.retry(name)
        bells.ring_on_commit(bells.Bell.PROJECT)

    def skip_sync(self, name: str, reason: str, actor: str) -> ProjectionSkip:
        """Go on behind the event that stops a projection; the record says who wanted it, and why."""
        skipped = skips.skip(name, reason, actor)
        bells.ring_on_commit(bells.Bell.PROJECT)
        return skipped

    run = bridge.twin(run_sync)
    status = bridge.twin(status_sync)
    rebuild = bridge.twin(rebuild_sync)
    request_rebuild = bridge.twin(request_rebuild_sync)
    progress = bridge.twin(progress_sync)
    retry = bridge.twin(retry_sync)
    skip = bridge.twin(skip_sync)


def _has_reached(goal: tuple[int, int], now: ProjectionStatus) -> bool:
    return now.is_live and (now.tx, now.position) >= goal


def _go_on(name: str, now: ProjectionStatus) -> int:
    if now.is_live:
        return rounds.run([name], slice_s=SLICE_S)
    return rebuilding.carry_on(registry.get(name), now.build, until=time.monotonic() + SLICE_S)
