"""What `wait_until` may be told, and the moment that it means."""
