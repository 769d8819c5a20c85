"""Why the service does not start, or is not ready."""


class ServiceError(Exception):
    """The service can't start; the text says why and what to do."""


class StateRefused(ServiceError):
    """A state on disk is not one to begin with; the text says why."""


class RecordsMissing(ServiceError):
    """The log has been cut between the state and now; the text says which records are gone."""
