"""vceval from Python: runs and scores as the command line makes them, and their results as tables."""
