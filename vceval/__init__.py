"""vceval: objective evaluation and benchmarking of voice conversion."""

__version__ = "0.1.0"

__all__ = ["__version__"]
