"""Long work happens one at a time in order of arrival, tells how far it is, and ends when nobody reads."""

import threading
import time

import pytest

from tracksift.web.turnstile import Step, Stopped, Turnstile, Work


def test_those_who_wait_come_in_order_and_know_how_many_are_before_them():
    line, order, told, first = Turnstile(), [], [], threading.Event()

    def come(name):
        with line.turn(lambda ahead: told.append((name, ahead)), patience=0.02):
            order.append(name)
            if name == "a":
                first.wait(5)

    threads = []
    for name in "abc":
        threads.append(threading.Thread(target=come, args=(name,)))
        threads[-1].start()
        time.sleep(0.05)
    first.set()
    for thread in threads:
        thread.join(5)
    assert order == ["a", "b", "c"]
    assert ("b", 1) in told
    assert ("c", 2) in told
    assert not [t for t in told if t[0] == "a"]


def test_who_leaves_the_line_is_not_waited_for():
    line = Turnstile()

    def leave(ahead):
        raise Stopped("gone")

    def hurry():
        with pytest.raises(Stopped), line.turn(leave, patience=0.01):
            pass

    with line.turn(lambda ahead: None):
        thread = threading.Thread(target=hurry)
        thread.start()
        thread.join(5)
    with line.turn(lambda ahead: pytest.fail("the line was empty")):
        pass


def test_the_last_step_is_told_and_the_error_comes_to_the_reader():
    def run(tell):
        tell(Step("tracking", 1, 2))
        time.sleep(0.05)
        raise ValueError("broken")

    steps = Work(run).steps(pause=0.01)
    assert next(steps) == Step("tracking", 1, 2)
    with pytest.raises(ValueError, match="broken"):
        list(steps)


def test_work_ends_when_its_reader_goes():
    ended = threading.Event()

    def run(tell):
        try:
            while True:
                tell(Step("tracking"))
                time.sleep(0.01)
        finally:
            ended.set()

    steps = Work(run).steps(pause=0.01)
    next(steps)
    steps.close()
    assert ended.wait(5)
