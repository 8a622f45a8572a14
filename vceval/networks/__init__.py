"""Inference networks, one a file."""
