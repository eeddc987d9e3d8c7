"""The grammar of each reply in words, as a rule for decoding: a vocabulary is read once, however many are asked.

Knows tasks' grammars and the grounder's tokens. Does not know clips' files or what replies are for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from llm_grounder.backbone import CLOSE
from llm_grounder.constrained import ConstrainedReply, Vocabulary, vocabulary_of
from llm_grounder.grounder import Grounder
from llm_grounder.tasks.catalog import FORMATS
from llm_grounder.tasks.spec import Terms
from llm_grounder.types import Reply, Sample, Task
from tracksift.grounding import Manner, told_terms

KEPT: Final = 16  # rules that are remembered with what they have worked out


class ReplyRules:
    """For each sample the processors that `Grounder.generate` takes."""

    def __init__(self, grounder: Grounder, manner: Manner, most: Mapping[Task, int]) -> None:
        """most: tokens of a reply, by task."""
        self._backbone, self._manner, self._most = grounder.backbone, manner, most
        self._rules: dict[tuple[Task, Terms], ConstrainedReply] = {}

    def __call__(self, sample: Sample, reply: Reply) -> Sequence[ConstrainedReply]:
        """The rule of a sample's task and terms, and of the windows that the heads found; KeyError for a task without
        `most`.
        """
        task, terms = sample.request.task, told_terms(sample, reply, self._manner)
        if (task, terms) not in self._rules:
            if len(self._rules) >= KEPT:
                del self._rules[next(iter(self._rules))]
            self._rules[task, terms] = ConstrainedReply(FORMATS[task].grammar(terms), self._words, self._most[task])
        return [self._rules[task, terms]]

    @cached_property
    def _words(self) -> Vocabulary:
        backbone = self._backbone
        return vocabulary_of(backbone.tokenizer, [backbone.ids[CLOSE]], backbone.speakable)
