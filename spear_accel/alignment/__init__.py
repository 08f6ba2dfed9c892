"""Which text an utterance's tokens speak of, read from the model's cross-attention."""
