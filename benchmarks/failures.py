"""Why there may be no figures."""


class NotDurable(Exception):
    """The server does not keep what it confirms, so its figures would mean nothing."""


class Unaccounted(Exception):
    """Somebody was lost or got stuck, so there is no figure."""
