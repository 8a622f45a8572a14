"""The hubs' own formats: what the repository of a model and that of a benchmark say of results, to be uploaded by hand.

:mod:`model` writes results of a system, :mod:`benchmark` and :mod:`croissant` describe a suite, :mod:`citation` says
what to cite. Which documents of the makers they were checked against stands in ``docs/pages/reference/hubs.md``.
"""
