"""The demo: the product running, with sample flows and simulated people whose fate is known in advance."""
