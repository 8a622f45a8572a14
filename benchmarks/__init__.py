"""Suites, frozen pair lists, the demo corpus, published figures."""
