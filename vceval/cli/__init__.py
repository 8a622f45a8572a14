"""The command line, one file a command.

It imports every other room; no other room imports it.
"""
