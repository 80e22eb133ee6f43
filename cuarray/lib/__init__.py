"""What NumPy keeps in `numpy.lib`."""

from cuarray.lib import stride_tricks

__all__ = ["stride_tricks"]
