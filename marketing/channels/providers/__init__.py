"""The providers that come with the product; each registers itself."""
