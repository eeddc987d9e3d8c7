import errno
import os
from pathlib import Path

import pytest

from core.atomic import atomic_folder, atomic_path, check_folder
from core.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_file_appears_whole_in_a_new_folder_and_keeps_its_suffix(tmp_path):
    target = tmp_path / "new" / "clip.mp4"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".mp4"
        assert temporary.parent == target.parent
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["clip.mp4"]


def test_error_in_the_block_leaves_the_old_file_and_no_trace(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("old")

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_file_where_a_folder_is_expected_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"output .*x\.json: expected a place"), atomic_path(tmp_path / "file/x.json"):
        pass


def test_folder_where_a_file_is_expected_is_named_before_any_work(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(OutputError, match="expected a file name"), atomic_path(tmp_path / "x.json"):
        pytest.fail("the block must not run")


def test_full_disk_is_named_and_other_errors_of_the_block_are_not_renamed(tmp_path):
    def write(error: OSError) -> None:
        with atomic_path(tmp_path / "x.json"):
            raise error

    with pytest.raises(OutputError, match="expected room to write"):
        write(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(FileNotFoundError):
        write(FileNotFoundError("an input of the block"))
    assert names(tmp_path) == []


def test_folder_replaces_all_that_was_there_before(tmp_path):
    target = tmp_path / "masks"
    target.mkdir()
    (target / "old.png").write_text("old")
    with atomic_folder(target) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "new.png").write_text("new")
    assert names(tmp_path) == ["masks"]
    assert names(target) == ["sub"]


def test_folder_of_a_failed_block_stays_as_it_was(tmp_path):
    target = tmp_path / "masks"
    target.mkdir()
    (target / "old.png").write_text("old")

    def write() -> None:
        with atomic_folder(target) as temporary:
            (temporary / "new.png").write_text("half")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        write()
    assert names(tmp_path) == ["masks"]
    assert names(target) == ["old.png"]


def test_folder_over_a_file_is_refused(tmp_path):
    (tmp_path / "masks").write_text("")
    with pytest.raises(OutputError, match="expected a folder name"), atomic_folder(tmp_path / "masks"):
        pass


def test_a_folder_is_checked_before_the_work_and_not_made(tmp_path):
    check_folder(tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="got a file at"):
            check_folder(target)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to the superuser")
def test_a_folder_that_may_not_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="permission denied"):
        check_folder(tmp_path / "closed" / "new")
