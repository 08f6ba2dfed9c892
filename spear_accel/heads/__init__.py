"""Draft heads: small modules with weights that guess how a decoder will go on. They hold no policy of drafting."""

from spear_accel.heads.early_exit import EarlyExit, EarlyExitConfig
from spear_accel.heads.medusa import Medusa, MedusaConfig
from spear_accel.heads.parallel import ParallelHead
from spear_accel.heads.prophet import Prophet, ProphetConfig
from spear_accel.heads.prophet_linear import ProphetLinear, ProphetLinearConfig
from spear_accel.heads.recurrent import Recurrent, RecurrentConfig
from spear_accel.heads.registry import HEADS, DraftHead, build_head, head_config
from spear_accel.heads.trunk import Trunk, trunk_pass

__all__ = [
    "HEADS", "DraftHead", "EarlyExit", "EarlyExitConfig", "Medusa", "MedusaConfig", "ParallelHead", "Prophet",
    "ProphetConfig", "ProphetLinear", "ProphetLinearConfig", "Recurrent", "RecurrentConfig", "Trunk", "build_head",
    "head_config", "trunk_pass",
]  # fmt: skip
