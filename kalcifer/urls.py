"""Composes the apps' URLs below /api/v1/."""

from typing import Any

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path, re_path
from django.urls.resolvers import URLPattern, URLResolver
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiYamlRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from kalcifer import health, metrics
from marketing.links.pages import MessageLink
from tenants.api.media import JSONRenderer
from tenants.api.routing import path as api_path

schema = SpectacularAPIView.as_view(renderer_classes=[JSONRenderer, OpenApiYamlRenderer2])
# Pages answer GET only: asked for their OPTIONS, they have nothing to fill their template with.
PAGE: dict[str, Any] = {"url_name": "schema", "http_method_names": ["get", "head"]}

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index", http_method_names=["get", "head"])),
    path("favicon.ico", serve, {"path": "kalcifer/favicon.ico", "insecure": True}),
    path("admin/", admin.site.urls),
    api_path("api/v1/schema", schema, "schema"),
    api_path("api/v1/docs", SpectacularSwaggerView.as_view(**PAGE), "docs"),
    api_path("api/v1/redoc", SpectacularRedocView.as_view(**PAGE), "redoc"),
    api_path("api/v1/health", health.alive, "health"),
    api_path("api/v1/health/ready", health.ready, "ready"),
    api_path("api/v1/metrics", metrics.metrics, "metrics"),
    # Where Prometheus looks by itself.
    api_path("metrics", metrics.metrics, "metrics-root"),
    re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True}),
    # Short, because it stands in messages.
    api_path("u/<str:token>", MessageLink.as_view(), "message-link"),
    path("api/v1/", include("kalcifer.api_urls")),
]

handler400 = "kalcifer.problems.handler400"
handler403 = "kalcifer.problems.handler403"
handler404 = "kalcifer.problems.handler404"
handler500 = "kalcifer.problems.handler500"
