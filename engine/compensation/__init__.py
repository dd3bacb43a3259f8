"""The roll-back of what was done: of flows by their plan, of sagas by theirs, and the chains that carry both on."""
