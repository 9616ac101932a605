"""The section ``publish`` of the configuration."""

from typing import Annotated

from pydantic import Field

from activityrec.config_base import Section

Share = Annotated[float, Field(ge=0, le=1)]


class PublishConfig(Section):
    """What a run must show before readers see it, and how long runs are kept.

    Of the run itself: at least ``min_users`` users have a list, ``min_user_coverage`` of all users
    do, and ``min_activity_coverage`` of the live and planned activities are in a list. Beside the
    last publication: at least ``min_users_kept`` times as many users; at most ``max_changed_lists``
    of the users in both have another list, and ``max_changed_first`` another first activity; the
    population stability index of the scores is at most ``max_score_psi``. A limit of 1 on a share
    lets all pass, and its figure is kept all the same.

    ``keep_runs``: ``maintain`` keeps the rows of so many published runs, the latest ones, and
    so a rollback can go back that far; without it, of all.
    """

    min_users: Annotated[int, Field(ge=1)] = 1
    min_user_coverage: Share = 0.1
    min_activity_coverage: Share = 0.1
    min_users_kept: Share = 0.5
    max_changed_lists: Share = 1.0
    max_changed_first: Share = 1.0
    max_score_psi: Annotated[float, Field(gt=0)] = 1.0
    keep_runs: Annotated[int, Field(ge=2)] | None = None
