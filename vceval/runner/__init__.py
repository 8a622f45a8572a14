"""The stages of a run: plan, convert, score, summarise."""
