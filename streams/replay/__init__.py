"""Event logs: reading, fetching, playing into topics, and judging a model on them."""
