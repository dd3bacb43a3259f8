"""The people that journeys are for: what is known of them, where it comes from, and how it goes."""
