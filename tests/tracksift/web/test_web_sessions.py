"""A session belongs to one browser's tab, and its folder goes when the tab goes."""

import pytest

from core.errors import InputError
from tracksift.web.limits import Limits
from tracksift.web.sessions import SessionEndedError, Sessions


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions(tmp_path, clock):
    return Sessions(tmp_path / "sessions", Limits(sessions=3, idle=100), clock)


def test_each_session_has_a_folder_of_its_own_and_a_name_that_cannot_be_guessed(sessions):
    one, two = sessions.open("ann", "tab1"), sessions.open("bob", "tab2")
    assert one.folder != two.folder
    assert one.folder.is_dir()
    assert one.folder.stat().st_mode & 0o077 == 0
    assert min(len(one.id), len(two.id)) >= 24


def test_only_the_browser_that_opened_a_session_finds_it(sessions):
    one = sessions.open("ann", "tab1")
    assert sessions.of_tab("ann", "tab1") is one
    assert sessions.of_id("ann", one.id) is one
    for look in (
        lambda: sessions.of_tab("bob", "tab1"),
        lambda: sessions.of_id("bob", one.id),
        lambda: sessions.of_id("", one.id),
        lambda: sessions.of_id("ann", "../" + one.id),
        lambda: sessions.of_id("änn", one.id),
    ):
        with pytest.raises(SessionEndedError):
            look()


def test_another_browser_can_neither_take_nor_end_a_tab(sessions, clock):
    one = sessions.open("ann", "tab1")
    with pytest.raises(InputError, match="new tab"):
        sessions.open("bob", "tab1")
    sessions.leave("bob", "tab1")
    assert not one.left


def test_a_tab_that_left_is_deleted_unless_it_comes_back(sessions, clock):
    one, two = sessions.open("ann", "tab1"), sessions.open("ann", "tab2")
    (one.folder / "film").write_text("private")
    sessions.leave("ann", "tab1")
    sessions.leave("ann", "tab2")
    clock.now = 30
    sessions.of_id("ann", two.id)
    clock.now = 60
    assert sessions.sweep() == 1
    assert not one.folder.exists()
    assert one.visit.ended
    assert two.folder.exists()
    with pytest.raises(SessionEndedError):
        sessions.of_tab("ann", "tab1")


def test_a_silent_tab_is_deleted_after_a_while_and_all_at_the_end(sessions, clock):
    one, two = sessions.open("ann", "tab1"), sessions.open("ann", "tab2")
    clock.now = 90
    sessions.of_id("ann", two.id)
    clock.now = 110
    assert sessions.sweep() == 1
    assert not one.folder.exists()
    sessions.close()
    assert not two.folder.exists()
    assert len(sessions) == 0


def test_there_are_at_most_so_many_and_those_that_left_make_room(sessions):
    for tab in "abc":
        sessions.open("ann", tab)
    with pytest.raises(InputError, match="at most 3 visitors"):
        sessions.open("bob", "d")
    sessions.leave("ann", "b")
    sessions.open("bob", "d")
    assert len(sessions) == 3


def test_a_browser_without_cookies_gets_no_session(sessions):
    with pytest.raises(InputError, match="cookie"):
        sessions.open("", "tab")
