"""The demo as an app, so that every process of it finds its sagas; installed only while the demo runs."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """The app of `manage.py demo`."""

    name = "kalcifer.demo"
    label = "kalcifer_demo"
