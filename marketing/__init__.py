"""Why flows run: journeys, customers, segments and channels. Nothing is here yet: the engine works without it."""
