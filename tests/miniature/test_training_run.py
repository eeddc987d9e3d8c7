import json
import time
from dataclasses import dataclass, field

import pytest

from core.errors import InputError, OutputError, TrackSiftError
from miniature.training_run import LOG, STATE, Run, check, check_loss, prepare


@dataclass(frozen=True)
class Settings:
    first: int = 3


@dataclass
class Trainer:
    capture: bool = True
    step: int = 7
    settings: Settings = field(default_factory=Settings)

    def warm_up(self, pool):
        self.warmed = pool.filled

    def restore(self, path):
        self.restored = path


class Pool:
    filled = 0

    def wait_for(self, count):
        while self.filled < count:
            self.filled += 2
            yield self.filled


@pytest.mark.parametrize(("resume", "capture"), [(True, True), (False, False)])
def test_a_training_begins_with_a_filled_pool_and_says_so(tmp_path, resume, capture):
    trainer, pool = Trainer(capture), Pool()
    prepare(trainer, pool, Run(tmp_path, time.monotonic(), 60.0), items="clips", resume=resume)
    (line,) = [json.loads(text) for text in (tmp_path / LOG).read_text().splitlines()]
    assert line.pop("seconds") < 60
    begun = {"begin": True, "resumed": resume, "step": 7, "captured": capture, "clips": 4}
    assert line == begun | {"settings": {"first": 3}}
    assert getattr(trainer, "warmed", None) == (4 if capture else None)
    assert getattr(trainer, "restored", None) == (tmp_path / STATE if resume else None)


def test_who_does_not_lead_writes_nothing_and_is_never_due(tmp_path):
    run = Run(tmp_path, 0.0, 0.0, leads=False)
    run.log(step=1)
    with run.bar("silent", 3) as tell:
        tell(1, 3)
    assert not run.due()
    assert not list(tmp_path.iterdir())
    assert Run(tmp_path, 0.0, 0.0).due()
    assert not Run(tmp_path, 0.0, 60.0, measured=time.monotonic()).due()


def test_what_could_only_fail_later_is_refused(tmp_path):
    with pytest.raises(InputError, match="--minutes: expected more than 0, got nan"):
        check(tmp_path, resume=False, minutes=float("nan"))
    with pytest.raises(InputError, match="of an earlier training"):
        check(tmp_path, resume=True, minutes=1)
    (tmp_path / STATE).touch()
    check(tmp_path, resume=True, minutes=1)
    with pytest.raises(InputError, match="expected a folder without a training"):
        check(tmp_path, resume=False, minutes=1)
    with pytest.raises(OutputError, match="got a file"):
        check(tmp_path / STATE / "below", resume=False, minutes=1)


@pytest.mark.parametrize("total", [float("nan"), float("inf")])
def test_a_loss_that_is_no_finite_number_stops_the_training(total):
    check_loss(1.5, 3)
    with pytest.raises(TrackSiftError, match=r"finite loss, got .* at step 3"):
        check_loss(total, 3)
