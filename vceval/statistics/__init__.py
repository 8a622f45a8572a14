"""Arrays in, numbers out.

Intervals, paired tests, bootstrap over speakers, EER, separation. It reads no file and imports no other room.
"""
