"""What marketing refuses."""

from tenants.errors import KalciferError


class MarketingError(KalciferError):
    """Base of every error of marketing."""

    code = "marketing_error"


class CustomerExists(MarketingError):
    """There is a customer with this external_id; PUT replaces it, PATCH changes it."""

    code = "exists"


class CustomerErased(MarketingError):
    """The customer is being erased."""

    code = "being_erased"


class NotMergeable(MarketingError):
    """These two customers cannot be merged."""

    code = "not_mergeable"


class JourneyArchived(MarketingError):
    """The journey is archived and cannot be changed; make a new one instead."""

    code = "journey_archived"


class JourneyNotDraft(MarketingError):
    """Only a journey in draft can be deleted; archive this one instead."""

    code = "journey_not_draft"


class NotResendable(MarketingError):
    """The message is not sent once more: it has arrived, or may still do so."""

    code = "not_resendable"


class SegmentIsDynamic(MarketingError):
    """The rule of this segment decides who is in it."""

    code = "segment_is_dynamic"


class SegmentIsStatic(MarketingError):
    """This segment has no rule to evaluate; its members are put into it."""

    code = "segment_is_static"
