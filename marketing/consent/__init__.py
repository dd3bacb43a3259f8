"""What people want to hear and have agreed to, and the record of how that came about."""
