"""The section ``recommend`` of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from activityrec.config_base import Section


class ExploreConfig(Section):
    """Lists that try something, so that the next run can learn from it, see docs/serving.md.

    A slot is filled by chance with probability ``share``: by a softmax over the scores of what is
    left, scaled so that each user's lie between 0 and 1, and divided by ``temperature``.
    """

    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    temperature: Annotated[float, Field(gt=0)] = 0.1


class RecommendConfig(Section):
    """The lists: length, candidates, how far ahead activities are planned.

    ``diversity`` is the strength, 0 to 1, of a re-ranking that puts unlike activities beside each
    other. ``margin`` is Spark SQL over the columns of ``clean.activities``: what a response is
    worth. ``languages`` are those that reasons are told in.
    """

    k: Annotated[int, Field(ge=1)] = 10
    candidates: Annotated[int, Field(ge=1)] = 100
    planning_days: Annotated[int, Field(ge=0)] = 0
    offers: Annotated[int, Field(ge=0)] = 3
    products: Annotated[int, Field(ge=0)] = 5
    audience_size: Annotated[int, Field(ge=1)] = 10_000
    exclude_answered: bool = True
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    explore: ExploreConfig = ExploreConfig()
    margin: str | None = None
    languages: list[Literal["en", "zh"]] = ["en", "zh"]
