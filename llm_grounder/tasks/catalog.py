"""Every task's format, and the conversation that a request becomes.

Knows formats. Does not know clips or models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from llm_grounder.backbone import track_token
from llm_grounder.tasks.boxes import GROUNDING, REFERRED_TRACKING, TRACKING
from llm_grounder.tasks.captions import CAPTIONS
from llm_grounder.tasks.highlights import HIGHLIGHTS
from llm_grounder.tasks.moments import MOMENTS, SUMMARY
from llm_grounder.tasks.spec import TaskFormat, Terms, ask
from llm_grounder.tasks.timed_answers import TIMED_ANSWERS
from llm_grounder.tasks.words import ANSWERS, DESCRIPTIONS
from llm_grounder.types import Request, Role, Task, Turn

_ALL: Final[tuple[TaskFormat, ...]] = (
    MOMENTS, HIGHLIGHTS, CAPTIONS, SUMMARY, TIMED_ANSWERS, ANSWERS, GROUNDING, DESCRIPTIONS, REFERRED_TRACKING,
    TRACKING,
)  # fmt: skip
FORMATS: Final[Mapping[Task, TaskFormat]] = {each.task: each for each in _ALL}


def conversation(
    request: Request, terms: Terms, answer: Any = None, *, wording: int = 0, said: float = math.inf
) -> tuple[Turn, ...]:
    """The user's turn at `request.asked`, and the wanted reply at `said` seconds unless `answer` is None.

    A track that is meant is named after the words.

    Raises:
        InputError: for an answer that the task cannot say.
    """
    format_ = FORMATS[request.task]
    words = ask(format_, request, wording)
    if request.track is not None:
        words = f"{words} {track_token(request.track)}"
    asked = Turn(request.asked, Role.USER, words, region=request.region)
    if answer is None:
        return (asked,)
    return asked, Turn(said, Role.ASSISTANT, format_.write(answer, terms))
