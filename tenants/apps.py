"""Django's entry to the app."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """The app and what it registers at start-up."""

    name = "tenants"

    def ready(self) -> None:
        """Stop the start where a setting cannot be understood."""
        from tenants import throttling  # noqa: PLC0415  # models have to be loaded first

        throttling.parse_limits(throttling.configured())
