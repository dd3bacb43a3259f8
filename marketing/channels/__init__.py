"""What carries messages: providers, a tenant's accounts with them, and what they report back."""
