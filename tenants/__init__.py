"""Who owns everything else: tenants, their keys and secrets, and the REST ground that every view stands on."""
