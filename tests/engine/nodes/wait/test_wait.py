from datetime import timedelta

import pytest

from engine.nodes.outcomes import Completed, Waiting
from tests.engine.nodes.steps import NOON, execute, problems, resume


def test_it_waits_for_elapsed_time_and_goes_on():
    assert execute("wait", {"duration": "3d"}) == Waiting(until=NOON + timedelta(hours=72))
    assert resume("wait", {"duration": "3d"}) == Completed()


@pytest.mark.parametrize("duration", [0, "0s", "-1d", "1.5h", "3 days", "", None, "11000d", "٣d"])
def test_it_refuses_what_is_no_duration(duration):
    assert problems("wait", {"duration": duration}).keys() == {"duration"}
