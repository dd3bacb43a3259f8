"""Messages on their way: queued, claimed, handed over, and what was heard of them since."""
