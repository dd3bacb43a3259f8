"""The URLs of marketing, to be included below /api/v1/."""

from marketing.api import analytics_urls, channel_urls, delivery_urls, journey_urls, message_urls, segment_urls
from marketing.api.customers import (
    CustomerExportView,
    CustomerInstancesView,
    CustomerMergeView,
    CustomerPreferencesView,
    CustomersView,
    CustomerTagsView,
    CustomerView,
)
from marketing.api.imports import ImportView
from marketing.api.topics import TopicsView, TopicView
from tenants.api.routing import path

urlpatterns = [
    path("customers", CustomersView.as_view(), "customers"),
    path("customers/import", ImportView.as_view(), "customers-import"),
    path("customers/<str:external_id>", CustomerView.as_view(), "customer"),
    path("customers/<str:external_id>/tags", CustomerTagsView.as_view(), "customer-tags"),
    path("customers/<str:external_id>/preferences", CustomerPreferencesView.as_view(), "customer-preferences"),
    path("customers/<str:external_id>/export", CustomerExportView.as_view(), "customer-export"),
    path("customers/<str:external_id>/merge", CustomerMergeView.as_view(), "customer-merge"),
    path("customers/<str:external_id>/instances", CustomerInstancesView.as_view(), "customer-instances"),
    *analytics_urls.urlpatterns,
    *channel_urls.urlpatterns,
    *delivery_urls.urlpatterns,
    *journey_urls.urlpatterns,
    *segment_urls.urlpatterns,
    *message_urls.urlpatterns,
    path("topics", TopicsView.as_view(), "topics"),
    path("topics/<str:slug>", TopicView.as_view(), "topic"),
]
