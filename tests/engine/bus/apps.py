"""Subscribes in every process that has the app, as users' apps do."""

from django.apps import AppConfig


class SubscribingConfig(AppConfig):
    """The app."""

    name = "tests.engine.bus"
    label = "subscribing"

    def ready(self) -> None:
        """Subscribe to what runs record."""
        from engine.bus import EventBus  # noqa: PLC0415  # models have to be loaded first
        from tests.engine.bus import handlers  # noqa: PLC0415  # likewise

        EventBus().subscribe("completed", handlers.note)
