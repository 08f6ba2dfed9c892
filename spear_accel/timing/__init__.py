"""When each word of a text is said, and the files that hold it."""

from spear_accel.timing.words import WordTime

__all__ = ["WordTime"]
