"""The errors that a user of the jobs can cause, and mend."""


class ActivityRecError(Exception):
    """Base of all of them: a job prints the message as one line and exits with 1."""


class ConfigError(ActivityRecError):
    """The YAML is wrong: the message names the file, the key and what is allowed."""


class SourceError(ActivityRecError):
    """A source cannot be read, or a column expression does not resolve on it."""


class ContractError(ActivityRecError):
    """A table, or rows on their way into one, differ from its contract."""


class TimeError(ActivityRecError):
    """``as_of`` lies outside the data, or nothing is live at it."""


class StateError(ActivityRecError):
    """A stage finds the lakehouse or the registry without what an earlier stage makes."""
