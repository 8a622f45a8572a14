"""A board of published results: result files of many publishers, checked, ranked by the one rule, as static pages.

:mod:`intake` reads and checks files, :mod:`tables` decides which results stand beside each other, :mod:`standing` makes
their figures, marks and agreements of the sums in the files, and :mod:`site` writes pages, feed and ``board.json``.
"""
