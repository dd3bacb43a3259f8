"""Settings of a test's worker processes: an app that subscribes, and leases that end soon."""

from kalcifer.settings import *  # noqa: F403
from kalcifer.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.engine.bus"]
KALCIFER_LEASE_S = 1.5
