"""The regression gate: this run is worse than the baseline, or it is not, or these pairs do not tell."""
