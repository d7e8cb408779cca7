"""Evidence that stands without us: what is shown of the log, and how a stranger checks it."""
