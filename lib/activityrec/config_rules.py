"""The section ``rules`` of the configuration."""

from typing import Annotated

from pydantic import Field

from activityrec.config_base import Days, Section


class FrequencyConfig(Section):
    """At most ``times`` in ``days`` days."""

    times: Annotated[int, Field(ge=1)]
    days: Days


class BlockConfig(Section):
    """Keep an activity from all users, or from those that meet ``users``."""

    activity_id: str
    users: str | None = None


class PinConfig(BlockConfig):
    """Put an activity first in the lists of all users, or of those that meet ``users``."""


class BoostConfig(BlockConfig):
    """Multiply the score of an activity by ``factor`` for all users, or for those that meet
    ``users``. A negative score is divided by it."""

    factor: Annotated[float, Field(gt=0)]


class RulesConfig(Section):
    """What may be recommended to whom, see docs/serving.md.

    ``users``, and the conditions of ``consent``, are Spark SQL over the columns of ``clean.users``.
    NULL is not met; a user without a row there meets none. An activity whose channel is listed in
    ``consent`` goes only to users who meet the channel's condition.

    ``frequency_cap`` is on one activity: it is left out where the user was shown it ``times`` in
    the ``days`` days before as_of. ``contact_limit`` is on all together: what was shown in these
    days and the list of this run. ``max_per_type`` is how many activities of one type a list may
    hold. ``inventory`` is Spark SQL over the columns of ``clean.activities``: to how many users an
    activity may be recommended, NULL for any number.

    ``serving.exclusions`` is written with ``explain``. Of what retrieval masks for a user, the
    best ``explained`` are scored for it; by default as many as ``recommend.candidates``.
    """

    frequency_cap: FrequencyConfig | None = None
    contact_limit: FrequencyConfig | None = None
    max_per_type: Annotated[int, Field(ge=1)] | None = None
    consent: dict[str, str] = {}
    blocks: list[BlockConfig] = []
    pins: list[PinConfig] = []
    boosts: list[BoostConfig] = []
    inventory: str | None = None
    explain: bool = True
    explained: Annotated[int, Field(ge=1)] | None = None
