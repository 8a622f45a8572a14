"""Converters: one system a file; the controls, and the systems that can only be named, share one each."""
