"""Django's entry to the app."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """The app and what it registers at start-up."""

    name = "tenants"
