"""Java's METEOR and tokeniser: said plainly where they are not found, their figures kept where they are."""

import pytest

from benchmarks.metrics import caption_java
from benchmarks.metrics.caption_java import FOLDER, Meteor, find_jar, missing, treebank_tokens
from core.errors import InputError


def test_without_java_or_jars_it_is_said_plainly_and_nothing_stands_in(monkeypatch, tmp_path):
    monkeypatch.setattr(caption_java, "find_spec", lambda name: None)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(InputError, match=r"meteor-1\.5\.jar: expected it in the folder TRACKSIFT_CAPTION_JARS"):
        Meteor()
    assert "found it in neither" in missing() or "found none" in missing()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "meteor-1.5.jar").touch()
    assert find_jar("meteor-1.5.jar") == tmp_path / "deep" / "meteor-1.5.jar"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing() == "METEOR: expected Java on the PATH, found none"
    with pytest.raises(InputError, match="expected Java on the PATH"):
        Meteor()


def test_a_jar_that_is_none_is_an_error_and_no_figure(monkeypatch, tmp_path):
    if "Java" in (missing() or ""):
        pytest.skip("no Java")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for name in ("meteor-1.5.jar", "stanford-corenlp-3.4.1.jar"):
        (tmp_path / name).write_text("no jar")
    with Meteor() as meteor, pytest.raises(InputError, match="METEOR: expected a"):
        meteor.score([("a", "b")])
    with pytest.raises(InputError, match="tokeniser: expected 2 lines from Java, got 0"):
        treebank_tokens(["a", "b"])


@pytest.mark.slow
def test_meteor_and_the_tokeniser_where_they_are_found():
    if reason := missing():
        pytest.skip(reason)
    sentences = ["Don't cut the (ripe) tomatoes, please!", "", "two\nlines \u2028 here", "crème brûlée."]
    assert treebank_tokens(sentences) == [
        "do n't cut the -lrb- ripe -rrb- tomatoes please",  # brackets stay, as in the official code
        "",
        "two lines here",
        "crème brûlée",
    ]
    assert treebank_tokens([]) == []
    with Meteor() as meteor:
        together, each = meteor.score([("cut the tomato", "cut the tomato"), ("a dog", "fry two eggs"), ("", "a b")])
        assert each.tolist() == pytest.approx([1.0, 0.0, 0.0], abs=0.02)
        assert 0 < together < 1
        assert together != pytest.approx(each.mean())
        again = meteor.score([("cut the tomato", "cut the tomato")])[0]
        assert again == pytest.approx(each[0])
        swapped = [meteor.score([pair])[0] for pair in (("a dog runs", "a dog"), ("a dog", "a dog runs"))]
        assert swapped[0] != swapped[1]
        with pytest.raises(InputError, match="expected at least one pair"):
            meteor.score([])
