"""The version of vceval."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
