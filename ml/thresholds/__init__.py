"""Thresholds that follow the traffic, segment by segment, so that the alerts stay within the budget."""
