"""Training of draft heads, on a corpus or on the model's own samples."""
