"""The two selectors behind one name: SOLA's module and TrackSift's own, made from whichever settings.

Knows both. Does not know training or files.
"""

from selector.relational import RelationalSelector
from selector.settings import RelationalSettings, Settings
from selector.sola import SolaSelector

Module = SolaSelector | RelationalSelector
"""Both have `settings`, `encode` (videos), `read` (words) and `select` (logits of tracks)."""


def build(settings: Settings) -> Module:
    """The module that the settings describe, with random weights."""
    return RelationalSelector(settings) if isinstance(settings, RelationalSettings) else SolaSelector(settings)
