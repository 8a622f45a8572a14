"""Listening tests: a page for listeners, a local server for it, and what follows from the answers.

A run goes out as a test and its answers come back as a metric::

    pool      which recordings a test can use
    plan      who hears what in which order
    loudness, stimuli, pages, export    the page, its recordings, the key
    store, serve    answers over HTTP into SQLite
    answers, screening    what came back, and whose answers count
    key, outcome, differences, correlation, bring    scores, preferences, agreement with metrics
    results   what reports read
"""
