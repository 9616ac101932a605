"""The errors that a user of the jobs can cause, and mend; and Spark's in one line."""

from py4j.protocol import Py4JJavaError


class ActivityRecError(Exception):
    """Base of all of them: a job prints the message as one line and exits with ``status``."""

    status = 1


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


class AlarmError(ActivityRecError):
    """The job did its work, and what it found needs somebody: an exit status of its own."""

    status = 3


class PrivacyError(ActivityRecError):
    """The key of the pseudonyms is missing, too short or not the one that wrote the tables."""


def first_line(error: Exception) -> str:
    """The first line of a Spark error: its class and message, without plan and stack."""
    text = error.java_exception.toString() if isinstance(error, Py4JJavaError) else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
