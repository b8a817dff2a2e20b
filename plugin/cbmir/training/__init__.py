"""Pictures to a trained encoder: splits, data, loss, loop."""
