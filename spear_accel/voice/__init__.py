"""A voice: its folder, its parts, and how it speaks."""
