"""The URLs of what carries messages, and of what it reports."""

from marketing.api.callbacks import ProviderCallbackView, SendgridCallbackView, TwilioCallbackView
from marketing.api.channels import ChannelsView, ChannelView, ProvidersView
from marketing.api.suppressions import SuppressionsView, SuppressionView
from tenants.api.routing import path

urlpatterns = [
    path("channels", ChannelsView.as_view(), "channels"),
    path("channels/providers", ProvidersView.as_view(), "channel-providers"),
    path("channels/<str:channel_id>", ChannelView.as_view(), "channel"),
    path("suppressions", SuppressionsView.as_view(), "suppressions"),
    path("suppressions/<str:suppression_id>", SuppressionView.as_view(), "suppression"),
    path("webhooks/sendgrid", SendgridCallbackView.as_view(), "sendgrid-callback"),
    path("webhooks/twilio", TwilioCallbackView.as_view(), "twilio-callback"),
    path("webhooks/providers/<str:channel_id>", ProviderCallbackView.as_view(), "provider-callback"),
]
