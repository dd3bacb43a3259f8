"""Django's PostgreSQL backend, joined to the servers of the data directory by its first connection."""

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from kalcifer.embedded import servers


class DatabaseWrapper(base.DatabaseWrapper):
    """Importing settings starts nothing; whoever really needs the database does."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, with the servers running."""
        servers.ensure(settings.KALCIFER_DATA_DIR)
        return super().get_new_connection(conn_params)
