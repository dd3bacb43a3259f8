"""The REST ground that every app's views stand on, and the calls for keys and secrets."""
