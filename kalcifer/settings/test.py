"""Settings of the test suite: servers of its own in a temporary directory, a database and a Redis prefix per worker."""

import os
import tempfile
from pathlib import Path
from uuid import uuid4

from kalcifer.embedded.layout import Layout
from kalcifer.settings import celery
from kalcifer.settings.base import *  # noqa: F403  # settings are a module of names
from kalcifer.settings.base import DATABASE_URL, SPECTACULAR_SETTINGS, connection
from kalcifer.settings.environment import text

# The controller of pytest-xdist loads this first and draws the name; its workers inherit it. Nothing is created here.
KALCIFER_TEST_DIR = text("KALCIFER_TEST_DIR") or f"{tempfile.gettempdir()}/kalcifer-tests-{uuid4().hex[:8]}"
os.environ["KALCIFER_TEST_DIR"] = KALCIFER_TEST_DIR

KALCIFER_DATA_DIR = Path(KALCIFER_TEST_DIR) / "data"
LAYOUT = Layout.of(KALCIFER_DATA_DIR)
if not DATABASE_URL:
    DATABASES = {"default": connection(LAYOUT.database_url, engine="kalcifer.embedded.database")}
REDIS_URL = text("REDIS_URL", LAYOUT.redis_url)

# Two suites on the same servers do not meet: the directory's name is part of every other name.
TEST_RUN = f"{text('KALCIFER_TEST_PARTITION')}{KALCIFER_TEST_DIR.rpartition('-')[2]}".lower()
TEST_WORKER = f"{TEST_RUN}_{text('PYTEST_XDIST_WORKER', 'main')}"
KALCIFER_REDIS_PREFIX = f"test:{TEST_WORKER}:"
globals().update(celery.settings(REDIS_URL, prefix=KALCIFER_REDIS_PREFIX))
KALCIFER_LOG_LEVEL = "WARNING"
SPECTACULAR_SETTINGS = SPECTACULAR_SETTINGS | {"DISABLE_ERRORS_AND_WARNINGS": False}
# The servers of a suite have just been started; its tests let leases run out at once.
KALCIFER_RESTART_GRACE_S = 0.0
# A tenant's first request of each second costs one statement more, in the middle of whatever a test counts.
KALCIFER_RATE_LIMITS = "default=0"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
