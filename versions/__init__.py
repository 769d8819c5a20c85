"""What judges from now on: the registry's champion and the newest tables, polled in the background, for job and service."""
