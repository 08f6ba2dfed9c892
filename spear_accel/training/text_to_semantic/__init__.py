"""Training of the text-to-semantic model and what helps it to align."""
