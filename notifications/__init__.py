"""Notifications: which alerts and events reach whom, when, in one message a case, by any channel of Apprise."""
