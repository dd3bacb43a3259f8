"""The servers that DATABASE_URL and REDIS_URL name: looked at before anything is started."""

import socket

import psycopg
import redis
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from kalcifer.embedded import servers
from kalcifer.exits import Exit

OLDEST_POSTGRES = 15_00_00


class ServerUnreachable(CommandError):
    """A server that the environment names does not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=int(Exit.SERVER_UNREACHABLE))


def check() -> None:
    """Have both servers answer: ours are started, others must be there."""
    if not (settings.DATABASE_URL and settings.REDIS_URL_IS_GIVEN):
        servers.ensure(settings.KALCIFER_DATA_DIR)
    _check_database()
    _check_broker()


def _check_database() -> None:
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if parameters.get(name)}
    try:
        with psycopg.connect(**wanted, connect_timeout=5) as session:
            version = session.info.server_version
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise ServerUnreachable(f"The PostgreSQL server of DATABASE_URL cannot be used: {reason}") from error
    if version < OLDEST_POSTGRES:
        raise ServerUnreachable(f"The server of DATABASE_URL is PostgreSQL {version // 10_000}; 15 or newer is needed.")


def _check_broker() -> None:
    client = redis.Redis.from_url(settings.REDIS_URL, retry=None, socket_timeout=3, socket_connect_timeout=3)
    try:
        client.ping()
    except (redis.RedisError, socket.gaierror) as error:
        raise ServerUnreachable(f"The Redis server of REDIS_URL cannot be used: {error}") from error
    finally:
        client.close()
