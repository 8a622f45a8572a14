"""Corpora: readers of real layouts on disk, a file for each dataset or family of datasets."""
