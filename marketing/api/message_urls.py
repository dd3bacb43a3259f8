"""The URLs of what messages are made of."""

from marketing.api.coupons import CodesView, PoolsView, PoolView
from marketing.api.links import LinksView, LinkView
from marketing.api.templates import PreviewView, TemplatesView, TemplateVersionsView, TemplateView
from marketing.links.pages import MessageLink
from tenants.api.routing import path

urlpatterns = [
    path("templates", TemplatesView.as_view(), "templates"),
    path("templates/<str:template_id>", TemplateView.as_view(), "template"),
    path("templates/<str:template_id>/versions", TemplateVersionsView.as_view(), "template-versions"),
    path("templates/<str:template_id>/preview", PreviewView.as_view(), "template-preview"),
    path("links", LinksView.as_view(), "links"),
    path("links/<str:slug>", LinkView.as_view(), "link"),
    path("coupon_pools", PoolsView.as_view(), "coupon-pools"),
    path("coupon_pools/<str:slug>", PoolView.as_view(), "coupon-pool"),
    path("coupon_pools/<str:slug>/codes", CodesView.as_view(), "coupon-codes"),
    path("u/<str:token>", MessageLink.as_view(), "message-link-below-api"),
]
