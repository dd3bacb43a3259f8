"""What the environment says becomes settings, and what is missing or wrong is named."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from kalcifer.settings import environment
from tests.support import processes


def test_a_database_url_is_taken_apart():
    found = environment.database("postgresql://a%40b:p%2Fw@db.example:6543/flows?sslmode=require")

    assert found == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "flows",
        "USER": "a@b",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": "6543",
        "OPTIONS": {"sslmode": "require"},
    }


def test_a_directory_of_sockets_is_a_host():
    found = environment.database("postgresql://me@/flows?host=/run/pg")

    assert (found["HOST"], found["NAME"], found["USER"], found["OPTIONS"]) == ("/run/pg", "flows", "me", {})


@pytest.mark.parametrize("url", ["mysql://a/b", "postgresql://only-a-host", "flows"])
def test_what_is_no_database_url_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        environment.database(url)


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("redis://:secret@redis:6379/2", "redis://:secret@redis:6379/2"),
    ],
)
def test_celery_is_told_of_redis_in_its_own_words(url, broker):
    assert environment.broker(url) == broker


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS"])
def test_in_production_a_missing_setting_is_named(missing, monkeypatch):
    monkeypatch.delenv(missing, raising=False)

    with pytest.raises(ImproperlyConfigured, match=missing):
        environment.required(missing)


def test_production_starts_with_everything_set():
    given = dict.fromkeys(("SECRET_KEY", "ENCRYPTION_KEY", "ALLOWED_HOSTS"), "x")
    servers = {"DATABASE_URL": "postgresql://a@db/b", "REDIS_URL": "redis://redis/0"}
    script = "from kalcifer import settings; print(settings.DATABASES['default']['HOST'], settings.CELERY_BROKER_URL)"

    answer = processes.python("-c", script, env=processes.environment(KALCIFER_ENV="production", **given, **servers))

    assert answer.stdout.split() == ["db", "redis://redis/0"], answer.stderr
