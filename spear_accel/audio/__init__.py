"""Recordings in and out, and recordings to semantic tokens."""
