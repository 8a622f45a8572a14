"""Recipes that come with vceval, one a folder, and the program that all their workers run in."""
