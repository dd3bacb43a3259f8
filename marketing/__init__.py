"""Why flows run: journeys, customers, segments and channels. The engine knows it only by its ports."""
