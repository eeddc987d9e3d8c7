"""The failure browser in a real browser: rows come lazily, sort, filter, open, and never run the words of others."""

import json
import re
import subprocess

import pytest

from tests.browser import chromium
from tests.tracksift.explained import EVIL, failed, make_video
from tracksift.report import write_report

SCRIPT = """
<script>
const seen = {}, find = id => document.getElementById(id), rows = () => document.querySelectorAll("#rows tr");
const set = (id, value) => { find(id).value = value; find(id).dispatchEvent(new Event("input")); };
const cells = c => [...rows()].map(row => row.children[c].textContent);
const column = name => [...document.querySelectorAll("th button")].find(button => button.textContent === name).click();
const painted = canvas => {  // colour on grey frames
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.some((value, i) => i % 4 === 0 && value !== data[i + 1]);
};
const steps = [() => {
  seen.first = rows().length;
  seen.failure = find("why").textContent;  // the worst is opened
  set("search", "number 37");
  seen.found = cells(1);
  rows()[0].click();
}, () => {
  seen.opened = find("words").textContent;
  seen.bands = [...document.querySelectorAll(".band h2")].map(node => node.textContent);
  seen.painted = [...document.querySelectorAll(".film canvas")].map(painted);
  set("search", "");
  column("expression"); seen.up = cells(1).slice(0, 3);
  column("expression"); seen.down = cells(1).slice(0, 3);
  set("cause", "stage 1"); seen.stage1 = cells(0); seen.summary = find("summary").textContent;
  set("cause", ""); set("search", "<img");
  rows()[0].click();
}, () => {
  seen.evil = find("words").textContent;
  seen.images = document.querySelectorAll("img").length;
  document.body.textContent = "SEEN" + JSON.stringify(seen) + "END";
}];
steps.forEach((step, i) => setTimeout(step, 500 + 500 * i));
</script></body>"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a script in the page has seen."""
    folder = tmp_path_factory.mktemp("page")
    videos = [make_video(f"v{i}", [f"number {10 * i + k}" for k in range(10)]) for i in range(30)]
    write_report(folder / "r.html", "valid", [*videos, make_video("evil", [EVIL]), failed()], 32)
    page = (folder / "r.html").read_text().replace("</body>", SCRIPT)
    (folder / "r.html").write_text(page)
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    ended = subprocess.run(
        [chromium(), *words, "--virtual-time-budget=5000", "--dump-dom", (folder / "r.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r"SEEN(\{.*\})END", ended.stdout, re.DOTALL)
    assert found, ended.stdout[-500:] + ended.stderr[-500:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_rows_are_made_when_they_come_near(seen):
    assert 200 <= seen["first"] < 302


def test_a_row_opens_with_truth_answer_and_oracle_painted(seen):
    assert seen["opened"] == "“number 37”"
    assert seen["bands"] == ["Ground truth", "Answer", "Oracle of the tracks"]
    assert seen["painted"] == [True] * 18


def test_columns_sort_both_ways(seen):
    assert seen["up"] == sorted(seen["up"])
    assert seen["down"] == sorted(seen["down"], reverse=True)
    assert seen["up"] != seen["down"]


def test_words_and_causes_filter(seen):
    assert seen["found"] == ["number 37"]
    assert seen["stage1"] == ["gone"]
    assert seen["summary"].startswith("1 of 302 expressions")
    assert seen["failure"] == "Not answered: no cache file"


def test_words_of_others_are_shown_and_not_run(seen):
    assert seen["evil"] == f"“{EVIL}”"
    assert seen["images"] == 0
