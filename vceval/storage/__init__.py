"""What is kept on disk.

The cache addressed by content, files written whole, paths that stay inside their root, child processes. It imports
errors only.
"""
