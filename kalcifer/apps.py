"""Django's entry to the project's own app: its commands, and the Celery app that tasks and doorbells use."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.core.signals import request_started

from kalcifer import kept_connections


class KalciferConfig(AppConfig):
    """The app and what it loads at start-up."""

    name = "kalcifer"
    default = True

    def ready(self) -> None:
        """Make the Celery app the current one in every process that runs Django, and set the logs up."""
        from kalcifer import celery, logging  # noqa: F401, PLC0415  # settings have to be complete first

        logging.configure()
        # After Django's own receiver, which closes what is too old and has the rest asked.
        request_started.connect(kept_connections.trust_quiet)


class KalciferAdminConfig(AdminConfig):
    """Django's admin with a front page of our own."""

    default_site = "kalcifer.admin_site.KalciferAdminSite"
