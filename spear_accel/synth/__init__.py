"""Batch synthesis: many lines to sound or tokens, resumable at any moment."""

from spear_accel.synth.job import SynthOptions, SynthSummary, synthesise
from spear_accel.synth.lines import Line, read_lines

__all__ = ["Line", "SynthOptions", "SynthSummary", "read_lines", "synthesise"]
