"""Corpora: one reader of one dataset's real layout on disk a file."""
