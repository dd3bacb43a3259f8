"""The REST API of every app: `path("api/v1/", include("kalcifer.api_urls"))`, here and in somebody else's project."""

from importlib.util import find_spec

from django.apps import apps
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(f"{app}.api.urls"))
    for app in ("tenants", "marketing", "engine", "flows")
    if apps.is_installed(app) and find_spec(f"{app}.api.urls")
]
