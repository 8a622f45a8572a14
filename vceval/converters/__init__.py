"""Converters: one adapter a file."""
