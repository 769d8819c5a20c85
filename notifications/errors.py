"""What can be wrong with notifications, each as one line for a person."""


class NotificationError(Exception):
    """Notifications can't be sent as required; the text says why, and has no secret in it."""


class PolicyError(NotificationError):
    """A notification policy can't be used; the text says where and why."""
