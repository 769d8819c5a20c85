"""Where points go: line protocol, and the sinks that take it."""
