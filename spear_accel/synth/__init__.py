"""Batch synthesis: many lines to a dataset of sound or tokens, resumable at any moment."""

from spear_accel.synth.job import SynthSummary, synthesise, usable_lines
from spear_accel.synth.lines import Line, read_lines
from spear_accel.synth.options import SynthOptions

__all__ = ["Line", "SynthOptions", "SynthSummary", "read_lines", "synthesise", "usable_lines"]
