"""The URLs of deliveries and of the inbox."""

from marketing.api.app_inbox import CustomerInboxView, InboxClickView, InboxDismissView, InboxReadView
from marketing.api.deliveries import DeliveriesView, DeliveryResendView, DeliveryView
from tenants.api.routing import path

urlpatterns = [
    path("deliveries", DeliveriesView.as_view(), "deliveries"),
    path("deliveries/<str:delivery_id>", DeliveryView.as_view(), "delivery"),
    path("deliveries/<str:delivery_id>/resend", DeliveryResendView.as_view(), "delivery-resend"),
    path("customers/<str:external_id>/inbox", CustomerInboxView.as_view(), "customer-inbox"),
    path("inbox/<str:delivery_id>/read", InboxReadView.as_view(), "inbox-read"),
    path("inbox/<str:delivery_id>/click", InboxClickView.as_view(), "inbox-click"),
    path("inbox/<str:delivery_id>/dismiss", InboxDismissView.as_view(), "inbox-dismiss"),
]
