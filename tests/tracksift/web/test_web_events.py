"""Events of a page without its gradio: one thing at a time, faults are told without where and how, nothing outlives."""

import threading
from types import SimpleNamespace

import pytest

from core.errors import InputError
from tracksift.ask import Pipeline
from tracksift.web.events import Events
from tracksift.web.grounders import NO_GROUNDER, Remark
from tracksift.web.limits import Limits
from tracksift.web.sessions import Sessions
from tracksift.web.studio import Studio
from tracksift.web.turnstile import Step, Stopped


@pytest.fixture
def page(tmp_path):
    """A studio whose models are never loaded, with one session: events, session, studio."""
    limits = Limits()
    sessions, studio = Sessions(tmp_path / "sessions", limits), Studio(Pipeline(), limits, tmp_path / "shared")
    events = Events(studio, sessions)
    name = events.opened("ann", "tab")["boot"]["session"]
    return SimpleNamespace(events=events, session=sessions.of_id("ann", name), studio=studio, sessions=sessions)


def last(replies):
    return list(replies)[-1]


def test_without_a_grounder_its_panels_say_so_and_nothing_is_made_up(page):
    boot = page.events.opened("ann", "tab2")["boot"]
    assert boot["grounder"] == {"name": "", "tasks": [], "missing": NO_GROUNDER}
    for task in ("describe", "moments", "captions", "highlights", "question", "duet"):
        reply = last(page.events.grounded("ann", "tab", {"task": task, "words": "what?"}))
        assert reply["error"] == NO_GROUNDER
        assert "remarks" not in reply


def test_replies_are_never_alike(page):
    replies = [last(page.events.ask("ann", "tab", {"words": "x"})) for _ in range(3)]
    assert len({reply["number"] for reply in replies}) == 3


@pytest.mark.parametrize("event", ["start", "ask", "follow", "download", "grounded"])
def test_an_event_of_nobodys_session_is_told_to_reload(page, event):
    for who in (("bob", "tab"), ("ann", "other"), ("", ""), ("", "tab")):
        reply = last(getattr(page.events, event)(*who, {}))
        assert "reload the page" in reply["error"]
        assert set(reply) == {"number", "error"}


@pytest.mark.parametrize("event", ["start", "ask", "follow", "download", "grounded"])
def test_an_empty_order_is_refused_in_a_sentence(page, event):
    assert "expected" in last(getattr(page.events, event)("ann", "tab", {}))["error"]


def test_one_visitor_does_one_long_thing_at_a_time(page, monkeypatch):
    going, end = threading.Event(), threading.Event()

    def load(visit, sample, tell):
        tell(Step("tracking", 1, 2))
        going.set()
        end.wait(10)

    monkeypatch.setattr(page.studio, "load", load)
    first = page.events.start("ann", "tab", {"sample": 0})
    assert next(first)["step"] == {"stage": "tracking", "done": 1, "total": 2}
    assert going.wait(5)
    assert "one thing at a time" in last(page.events.start("ann", "tab", {"sample": 0}))["error"]
    end.set()
    assert last(first)["error"] is None
    assert not page.session.visit.busy


def test_one_visitor_has_one_talk_at_a_time_and_work_goes_on_beside(page, monkeypatch):
    monkeypatch.setattr(page.studio, "grounder", SimpleNamespace(name="g", tasks={"captions"}))
    monkeypatch.setattr(page.studio, "remarks", lambda visit, request: iter([Remark("one"), Remark("two")]))
    film = SimpleNamespace(job=None)
    monkeypatch.setattr("tracksift.web.visit.Visit.ready", lambda visit: (film, None, None))
    first = page.events.grounded("ann", "tab", {"task": "captions"})
    assert next(first)["running"]
    assert not page.session.visit.busy
    assert "one thing at a time" in last(page.events.grounded("ann", "tab", {"task": "captions"}))["error"]
    first.close()  # as when the tab is gone
    again = last(page.events.grounded("ann", "tab", {"task": "captions"}))
    assert [r["text"] for r in again["remarks"]] == ["one", "two"]


def test_a_fault_of_ours_is_noted_and_told_without_its_inside(page, monkeypatch, caplog):
    def load(visit, sample, tell):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(page.studio, "load", load)
    reply = last(page.events.start("ann", "tab", {}))
    assert "something went wrong" in reply["error"]
    assert "secret" not in reply["error"]
    assert "secret inside" in caplog.text
    assert not page.session.visit.busy


def test_sentences_tell_no_places(page, monkeypatch):
    visit = page.session.visit
    visit.upload = ("my clip", visit.folder / "upload1.mp4")

    def load(visit, sample, tell):
        raise InputError(f"{visit.folder / 'upload1.mp4'}: expected a video, got {visit.folder.parent}/x")

    monkeypatch.setattr(page.studio, "load", load)
    assert last(page.events.start("ann", "tab", {}))["error"] == "my clip: expected a video, got x"


def test_work_of_a_session_that_ended_stops_and_leaves_no_file(page, monkeypatch, tmp_path):
    visit = page.session.visit
    visit.upload = ("clip", visit.folder / "upload1.mp4")
    monkeypatch.setattr("tracksift.web.studio.check_video", lambda path, limits: page.sessions.close())
    monkeypatch.setattr("tracksift.web.studio.Job.open", lambda job: pytest.fail("the session has ended"))

    def show(visit, job, name, suggestions, tell):
        visit.folder.mkdir(parents=True)  # as a writer that makes its folder would
        page.studio._go_on(visit, tell, Step("reading"))

    monkeypatch.setattr(page.studio, "_show", show)
    with pytest.raises(Stopped):
        page.studio.load(visit, None, lambda step: None)
    assert not visit.folder.exists()
