"""Results that leave the machine that made them: one signed file per system, from which every figure is made again.

What a run found of a system, pair by pair and without names of files and texts, is a :mod:`record`; :mod:`extract`
takes it out of a run, :mod:`rebuild` makes of records the report that the run had, :mod:`keys` signs, and :mod:`check`
judges.
"""
