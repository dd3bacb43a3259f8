"""Django's entry to the app."""

from django.apps import AppConfig


class EngineConfig(AppConfig):
    """The engine; at start-up it tells flows what it knows of graphs."""

    name = "engine"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register with flows what publishing and resuming need of the engine; no query is made here."""
        from engine import wiring  # noqa: PLC0415 - models have to be loaded first

        wiring.connect()
