"""Makes a trained voice fast without its training data: heads from its own samples, measured choices, a report."""

from spear_accel.accelerate.job import accelerate
from spear_accel.accelerate.plan import AcceleratePlan
from spear_accel.accelerate.tune import tune_voice

__all__ = ["AcceleratePlan", "accelerate", "tune_voice"]
