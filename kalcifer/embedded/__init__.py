"""PostgreSQL and Redis from the wheels, started in a data directory for as long as somebody uses them."""
