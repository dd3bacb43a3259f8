"""Settings of a test's worker processes."""

from kalcifer.settings import *  # noqa: F403
from kalcifer.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.support.hostile"]
KALCIFER_LEASE_S = 1.5
