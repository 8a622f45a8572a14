"""Metric plug-ins, one a file, and the functions that they are made of."""
