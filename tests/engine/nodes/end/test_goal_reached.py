from engine.nodes.outcomes import Completed
from tests.engine.nodes.steps import execute, problems


def test_it_names_the_goal_and_ends_the_run():
    expected = Completed({"goal_name": "bought"}, ends=True, reason="goal", goal="bought")
    assert execute("goal_reached", {"goal_name": "bought"}) == expected


def test_it_can_leave_other_paths_running():
    outcome = execute("goal_reached", {"goal_name": "bought", "exit": False})
    assert outcome == Completed({"goal_name": "bought"}, goal="bought")


def test_a_goal_needs_a_name():
    assert problems("goal_reached", {}) == {"goal_name": "this is required"}
