"""What is to be evaluated.

Suites, grids, frozen pair lists, sampling, manifests of converted audio, systems, and the reader of YAML files. It
imports corpora and what lies below them.
"""
