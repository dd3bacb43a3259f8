"""Django's entry to the app."""

from django.apps import AppConfig


class MarketingConfig(AppConfig):
    """The app and what it registers at start-up."""

    name = "marketing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Answer the engine's ports; no query is made here."""
        from marketing import wiring  # noqa: PLC0415 - models have to be loaded first

        wiring.connect()
