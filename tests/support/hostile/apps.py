"""Makes the hostile node types known to every process that has the app."""

from django.apps import AppConfig


class HostileConfig(AppConfig):
    """The app."""

    name = "tests.support.hostile"

    def ready(self) -> None:
        """Register the node types."""
        from tests.support.hostile import bookings, ledger, nodes  # noqa: PLC0415  # the registry is the engine's

        nodes.register()
        bookings.register()
        ledger.register()
