"""Which letters of its text each token of an utterance says, read from the model's cross-attention."""
