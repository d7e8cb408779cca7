"""The doors: HTTP, and the streams of the executors."""
