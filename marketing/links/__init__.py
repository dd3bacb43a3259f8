"""Links in messages: signed, expiring, each for one person; out of a topic, into a consent, to a page."""
