"""What marketing hands in to the engine at start-up."""

from engine import activity_handlers, checks, ports
from flows import publishing
from marketing import caps
from marketing.channels import accounts
from marketing.consent.lookup import StoredPreferences
from marketing.conversions.recording import Conversions
from marketing.coupons import pools
from marketing.customers import erasure, imports
from marketing.customers.store import Profiles
from marketing.deliveries import errands, fallen, handing, resting
from marketing.deliveries.lookup import Deliveries
from marketing.deliveries.queueing import Sender
from marketing.journeys import connecting as journeys
from marketing.links import addresses
from marketing.manners import messages_are_kind
from marketing.rehearsal import Previews
from marketing.segments import due
from marketing.segments.lookup import Memberships
from marketing.tallies import totals
from marketing.templates import store
from marketing.templates.checks import messages_can_be_written


def connect() -> None:
    """Bind the ports and tell publishing what exists; may be called twice."""
    preferences = StoredPreferences()
    ports.bind(
        profiles=Profiles(), preferences=preferences, segments=Memberships(), caps=caps.Caps(), previews=Previews()
    )
    ports.bind(messages=Sender(), deliveries=Deliveries(), conversions=Conversions())
    activity_handlers.register(errands.KIND, handing.hand_over, is_tidy=True)
    checks.register_resolver("topic", preferences.topics)
    checks.register_resolver("template", store.existing)
    checks.register_resolver("coupon pool", pools.existing)
    checks.register_resolver("link", addresses.existing)
    checks.register_resolver("provider", accounts.usable)
    publishing.register_check(messages_can_be_written)
    publishing.register_check(messages_are_kind)
    caps.connect()
    due.connect()
    fallen.connect()
    totals.connect()
    resting.connect()
    imports.connect()
    erasure.connect()
    journeys.connect()
