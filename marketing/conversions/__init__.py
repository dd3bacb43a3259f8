"""Goals that were reached, and what they are put down to."""
