"""Listening tests: a page for listeners, a local server for it, and what follows from the answers.

A run goes out as a test and its answers come back as a metric::

    kinds         the four kinds of test: what is heard, asked and answered
    recordings    which recordings of a run a test can use
    plan          who hears what in which order
    loudness, stimuli, pages, export    the page, its recordings, the key
    store, serve    answers over HTTP into SQLite
    answers, key, screening    answers read back as ratings, and whose answers count
    opinion_scores, differences, correlation, import_answers    scores, preferences, agreement with metrics
    results       what reports read
"""
