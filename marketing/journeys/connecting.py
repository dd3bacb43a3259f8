"""What journeys hand in at start-up."""

from engine import chores, schedules
from engine.chores import Chore
from flows import lifecycle as flows
from marketing.journeys import intakes, launches
from marketing.journeys.audiences import Audiences
from marketing.journeys.lifecycle import follow

AUDIENCES = Audiences()


def connect() -> None:
    """Have journeys follow their flows, launch when they are due and let their audiences in; may be called twice."""
    if follow not in flows.on_move:
        flows.on_move.append(follow)
    schedules.register_source(AUDIENCES)
    chores.register(Chore("launches", launches.is_due, launches.run))
    chores.register(Chore("intakes", intakes.is_due, intakes.run))
