"""The garbage collector, told how this product makes objects."""

import gc


def spare() -> None:
    """Look for rubbish rarely: a batch makes many objects that all go at its end. To be called once all is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
