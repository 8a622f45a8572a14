"""Reports: HTML, LaTeX, Markdown and CSV from a finished run directory."""
