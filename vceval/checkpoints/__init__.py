"""Weight files.

Which there are, how they are recognised, where they are kept, and readers that never run what a file holds. It imports
storage; the converters that need a file are found by name.
"""
