"""Other packages' decoding of a model of the same shape, in the same run as ours."""

from spear_accel.bench.peers.compare import Figure, compare, table_of
from spear_accel.bench.peers.shape import PEERS, Shape

__all__ = ["PEERS", "Figure", "Shape", "compare", "table_of"]
