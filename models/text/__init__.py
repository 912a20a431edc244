"""The text encoder: words to pieces, pieces to batches of fixed shape, batches to vectors."""
