"""A shop with customers and journeys, for demos and first looks."""
