"""Django's entry to the app."""

from django.apps import AppConfig


class MarketingConfig(AppConfig):
    """The app and what it registers at start-up."""

    name = "marketing"
