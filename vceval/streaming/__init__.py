"""What a converter that streams takes and gives: latency, look-ahead, deadlines, drift, seams, and what it costs."""
