"""Sections about what is removed from the tables."""

from typing import Annotated

from pydantic import Field

from dflib.config.section import Names, Section


class ForgetConfig(Section):
    """What ``forget`` removes for good; set by its arguments."""

    videos: Names
    """video_ids; forget requires some."""
    reason: str | None
    """Why, for the table ``forgotten``; forget requires it."""
    with_fakes: bool
    """Whether the fakes that were made from these videos go, too."""


class MaintainConfig(Section):
    """What ``maintain`` keeps."""

    keep_days: Annotated[float, Field(ge=7)]
    """Days for which earlier versions of tables stay readable. A reader that runs for longer than this can lose the
    files that it reads."""
    keep_run_days: Annotated[float, Field(ge=30)]
    """Days for which run records are kept. Those that rows name, other than of
    ``checks`` and ``tasks``, are kept for as long as the rows."""
