"""Drafters: what the engine lets the target verify."""
