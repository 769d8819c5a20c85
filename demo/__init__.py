"""`make demo`: servers, traffic, detection and alerts on one machine, in one calm view."""
