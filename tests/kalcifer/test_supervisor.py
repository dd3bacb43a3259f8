"""A supervisor starts the roles that it is asked for, on the database that it is given."""

import os

import pytest

from kalcifer.models import Heartbeat
from kalcifer.settings.celery import QUEUES
from kalcifer.supervisor.options import Options
from kalcifer.supervisor.supervisor import Supervisor

pytestmark = pytest.mark.processes


def test_the_workers_of_a_test_use_its_database(real_workers):
    supervisor = real_workers("advance", "activities", "background")

    assert set(supervisor.processes) == {"advance", "activities", "background"}
    served = {queue for serves in Heartbeat.objects.values_list("serves", flat=True) for queue in serves.split(",")}
    assert served <= set(QUEUES)


def test_a_killed_role_comes_back(real_workers):
    supervisor = real_workers("activities")
    first = supervisor.kill("activities")

    assert supervisor.wait_ready(30)
    assert list(supervisor.processes.values()) != first


def test_a_role_imports_what_its_supervisor_can(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    supervisor = Supervisor(Options(roles=("activities",)))

    assert str(tmp_path) in supervisor._child("activities")._environment["PYTHONPATH"].split(os.pathsep)
