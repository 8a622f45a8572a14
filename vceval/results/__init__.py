"""The run directory and everything that reads a finished run.

Values, intervals, tests, marks, comparability, leakage. Reports, the gate and listening tests read runs through it. It
imports metrics and statistics.
"""
