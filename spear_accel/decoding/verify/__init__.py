"""Verification rules: pure functions of proposals, probabilities and noise."""
