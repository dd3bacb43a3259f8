"""Segments: rules, what they are in SQL and in Python, and who is in them."""
