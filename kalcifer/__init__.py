"""The project: settings, URLs, Celery app, bundled servers and the commands that run everything."""

__version__ = "0.1.0"
