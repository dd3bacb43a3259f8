"""Django's entry to the app."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EngineConfig(AppConfig):
    """The engine; at start-up it tells flows what it knows of graphs."""

    name = "engine"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register with flows what publishing and resuming need of the engine; no query is made here."""
        from engine import wiring  # noqa: PLC0415 - models have to be loaded first

        wiring.connect()
        post_migrate.connect(_adopt_log, sender=self)


# A dump is migrated before anything else is started, so that nothing is recorded at a wrong place.
def _adopt_log(using: str, **_: Any) -> None:
    from engine.event_store import moving  # noqa: PLC0415 - models have to be loaded first

    if using == "default":
        moving.adopt()
