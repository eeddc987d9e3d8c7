"""The page in headless Chromium, as a visitor sees it; pictures of it stay in the folder of the run's output."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from core.types import TimeSpan
from tests.browser import chromium
from tests.tracksift.web.conftest import listening
from tests.tracksift.web.visiting import write_video
from tests.tracksift.web.watching import write_grounder
from tracksift.models import WEIGHTS
from tracksift.web.grounders import Remark, Task

pytest.importorskip("gradio")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")]
EVIL = "<img src=x onerror=\"document.title='evil'\">"
COLOURED = """async () => {
  const canvas = document.getElementById("ts-picture"), frame = document.getElementById("ts-scrub").value;
  const data = c => c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  const asked = performance.getEntriesByType("resource").map(e => e.name);
  const folder = asked.find(name => name.includes("/frame/")).split("/frame/")[0];
  const image = await createImageBitmap(await (await fetch(`${folder}/frame/${frame}`)).blob());
  const plain = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  plain.getContext("2d").imageSmoothingQuality = "high";
  plain.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const a = data(canvas), b = data(plain);
  let n = 0;
  for (let i = 0; i < a.length; i += 4) n += [0, 1, 2].some(c => Math.abs(a[i + c] - b[i + c]) > 15);
  return n;
}"""
WATCH = """() => {
  const busy = document.getElementById("ts-busy"), parts = { subtree: true, childList: true, attributes: true };
  new MutationObserver(() => note(busy.innerText)).observe(busy, parts);
}"""
INSIDE = """async () => {
  const name = performance.getEntriesByType("resource").map(e => e.name).find(n => n.includes("/track/0/1?"));
  const data = await (await fetch(name)).json(), frame = Number(document.getElementById("ts-scrub").value);
  const [x1, y1, x2, y2] = data.boxes[frame];
  return [(x1 + x2) / 512, (y1 + y2) / 512];
}"""
"""The middle of track 1's box on a picture of 256 x 256, as shares."""
SHOWN = """() => {
  const all = name => [...document.querySelectorAll(name)], marks = all("#ts-line .on i");
  const shown = told => told.map(one => !one.hidden);
  return [shown(all("#ts-remarks li")), shown(marks), marks.map(mark => Math.round(parseFloat(mark.style.left)))];
}"""
"""Which remarks are listed, which are marked on the time line, and where, in hundredths of it."""
WAIT = 60_000  # milliseconds; far more than it takes, for busy machines


@pytest.fixture(scope="module")
def site(application, tmp_path_factory):
    """Address and folder of a page with a grounder of random weights, loaded from its folder as the command does."""
    from tracksift.web.watcher import load_watcher

    folder = write_grounder(tmp_path_factory.mktemp("grounder") / "random")
    with application(load_watcher(folder, str(WEIGHTS / "clip"), "cpu")) as (app, root), listening(app) as address:
        yield address, root


@pytest.fixture(scope="module")
def browser():
    path = chromium()
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pictures(request):
    """Where screenshots are kept: TRACKSIFT_SCREENSHOTS, else runs/screenshots of the repository."""
    folder = Path(os.environ.get("TRACKSIFT_SCREENSHOTS", request.config.rootpath / "runs" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visitors(browser):
    """Of a site, what opens its page as another browser each time; in the end nothing was complained of and nobody else
    was asked.
    """
    contexts, troubles = [], []

    def open_page(site, **options):
        context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: message.type == "error" and troubles.append(message.text))
        page.on(
            "request", lambda asked: asked.url.startswith((site[0], "blob:", "data:")) or troubles.append(asked.url)
        )
        page.goto(site[0])
        page.wait_for_selector("#ts-samples button")
        return page

    yield lambda site: partial(open_page, site)
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture
def visit(visitors, site):
    return visitors(site)


class Speaker:
    """Says at once all that a duet about six seconds says."""

    name, tasks = "speaker", frozenset({Task.DUET})

    def remarks(self, request):
        yield Remark("first", TimeSpan(0.0, 0.5))
        yield Remark("last", TimeSpan(5.0, 5.5))


def track_upload(page, path):
    page.set_input_files("#ts-file", path)
    page.wait_for_selector("#ts[data-stage=ready]")


def ask(page, words):
    before = page.locator("#ts-history button").count()
    page.fill("#ts-words", words)
    page.press("#ts-words", "Enter")
    page.wait_for_function(f"document.querySelectorAll('#ts-history button').length > {before}")


def coloured(page):
    """How many pixels of the picture differ from the film's own frame."""
    return page.evaluate(COLOURED)


def drag(page, corners):
    """Drag a box of these shares of the picture."""
    page.click("#ts-draw")
    area = page.locator("#ts-picture").bounding_box()
    points = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def talk(page, task, words=None):
    """Let the grounder do a task; the lines that it says."""
    page.click(f"#ts-tasks button:has-text('{task}')")
    if words is not None:
        page.fill("#ts-talk-words", words)
    page.click("#ts-talk-form button")
    return listen(page)


def listen(page):
    """The lines of the grounder when it has said all."""
    page.wait_for_function(
        "document.querySelectorAll('#ts-remarks li').length && document.getElementById('ts-busy').hidden"
    )
    return page.locator("#ts-remarks li").all_inner_texts()


def complaint(page, task, words):
    """What the page complains of when the grounder is asked what it cannot do."""
    page.click(f"#ts-tasks button:has-text('{task}')")
    page.fill("#ts-talk-words", words)
    page.click("#ts-talk-form button")
    page.wait_for_selector("#ts-toast:visible")
    return page.inner_text("#ts-toast")


def test_a_visitor_uploads_asks_points_listens_and_downloads(visit, tiny_video, pictures, tmp_path):
    page = visit()
    page.screenshot(path=pictures / "1_start.png")
    seen = []
    page.expose_function("note", lambda words: seen.append(words))
    page.evaluate(WATCH)
    track_upload(page, tiny_video)
    assert any("Tracking every object" in words for words in seen)
    assert page.inner_text("#ts-name") == "clip"
    assert "6 frames" in page.inner_text("#ts-facts")
    page.screenshot(path=pictures / "2_tracked.png")

    assert page.locator("#ts-ranking button").count() == int(page.inner_text("#ts-said").split()[0])  # every track

    for number, words in enumerate(("the circle", "the shape on the left", EVIL), start=1):
        ask(page, words)
        assert page.inner_text("#ts-said") == f"“{words}”"
        assert page.locator("#ts-history button").count() == number
        assert " ms" in page.inner_text("#ts-rule")
    assert page.title() == "TrackSift"
    assert page.locator("#ts img[src=x]").count() == 0
    page.click("#ts-history button >> nth=1")
    assert page.inner_text("#ts-said") == "“the shape on the left”"
    assert page.locator("#ts-ranking button").count() >= 1
    page.screenshot(path=pictures / "3_answer.png", full_page=True)

    page.click("#ts-ranking button >> nth=0")
    page.click("#ts-play")  # to a halt
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / "4_track.png", full_page=True)
    assert coloured(page) > 100

    drag(page, [(0.42, 0.44), (0.76, 0.76)])
    page.wait_for_function("document.getElementById('ts-said').innerText.startsWith('What is in box 1')")
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / "5_box.png", full_page=True)
    assert coloured(page) > 100

    assert talk(page, "Captions")
    page.screenshot(path=pictures / "6_captions.png", full_page=True)

    for kind in ("answers.json", "masks.zip", "overlay.mp4", "page.html"):
        with page.expect_download() as saved:
            page.click(f"#ts-downloads button[data-kind='{kind}']")
        assert saved.value.suggested_filename == f"clip-{kind}"
        saved.value.save_as(tmp_path / kind)
        assert (tmp_path / kind).stat().st_size > 100


def test_the_grounder_answers_in_every_panel_and_marks_the_time_line(visit, tiny_video, pictures):
    page = visit()
    track_upload(page, tiny_video)
    page.click("#ts-play")
    said = talk(page, "Moments", EVIL)
    assert all(EVIL in line and " s" in line for line in said)
    assert page.locator("#ts img[src=x]").count() == 0
    assert page.locator("#ts-line .lane.on span").first.inner_text() == "Moments"
    page.screenshot(path=pictures / "10_moments.png", full_page=True)
    page.click("#ts-remarks button >> nth=0")
    shown = float(page.inner_text("#ts-clock").split(" s")[0])
    assert 0 <= float(said[0].split(" s")[0]) - shown < 1 / 8  # the frame that is then shown
    assert len(talk(page, "Highlights", "")) == 1
    assert len(talk(page, "Question", "what happens?")) == 1
    assert "expected a few words" in complaint(page, "Moments", "")

    page.click("#ts-tasks button:has-text('Describe')")
    page.click("#ts-ranking button >> nth=0")
    assert [line.split(":")[0] for line in listen(page)] == ["Track 0"]
    assert page.inner_text("#ts-about-task") == "Track 0 is picked."
    page.screenshot(path=pictures / "11_described.png", full_page=True)

    area = page.locator("#ts-picture").bounding_box()
    x, y = page.evaluate(INSIDE)
    page.mouse.click(area["x"] + x * area["width"], area["y"] + y * area["height"])
    page.wait_for_function("document.querySelectorAll('#ts-ranking [aria-pressed=true]').length === 2")
    assert [line.split(":")[0] for line in listen(page)] == ["Track 1"]
    assert page.inner_text("#ts-about-task") == "Track 1 is picked."

    for _ in range(6):
        page.press("#ts-picture", "ArrowLeft")
    said = talk(page, "Duet", "")
    assert page.get_attribute("#ts-play", "aria-label") == "Pause"  # it plays while the model watches
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440  # long words are wrapped
    page.wait_for_function("![...document.querySelectorAll('#ts-remarks li')].some(row => row.hidden)")
    shown = page.locator("#ts-remarks li").all_inner_texts()
    assert len(shown) == len(said)
    assert all(line[0].isdigit() for line in shown)  # each with its time
    page.screenshot(path=pictures / "12_duet.png", full_page=True)


def test_while_a_duet_plays_a_remark_is_marked_when_the_film_comes_to_it(visitors, application, tmp_path):
    with application(Speaker()) as (app, root), listening(app) as address:
        page = visitors((address, root))()
        track_upload(page, write_video(tmp_path / "slow.mp4", frames=12, fps=2))
        page.click("#ts-play")  # to a halt
        page.evaluate("const bar = document.getElementById('ts-scrub'); bar.value = 0; bar.oninput({ target: bar })")
        page.click("#ts-tasks button:has-text('Duet')")
        page.click("#ts-talk-form button")
        page.wait_for_function("document.querySelectorAll('#ts-remarks li').length === 2")
        assert page.evaluate(SHOWN) == [[True, False], [True, False], [0, 83]]
        page.wait_for_function("document.getElementById('ts-scrub').value >= 10")
        assert page.evaluate(SHOWN)[:2] == [[True, True], [True, True]]


def test_two_visitors_do_not_see_each_other(visit, tiny_video, site, pictures):
    ann, bob = visit(), visit(color_scheme="dark")
    track_upload(ann, tiny_video)
    ask(ann, "the circle")
    assert bob.get_attribute("#ts", "data-stage") == "empty"
    bob.click("#ts-samples button >> nth=0")
    bob.wait_for_selector("#ts[data-stage=ready]")
    assert bob.inner_text("#ts-name") == "Shapes <b>1</b>"
    assert bob.locator("#ts-history button").count() == 0
    ask(bob, "the red star")
    bob.screenshot(path=pictures / "7_another_visitor_dark.png", full_page=True)
    assert ann.locator("#ts-history button").count() == 1
    ann.click("#ts-other")
    ann.click("#ts-samples button >> nth=0")
    ann.wait_for_selector("#ts-name:text-is('Shapes <b>1</b>')")
    ann.wait_for_selector("#ts[data-stage=ready]")
    assert ann.locator("#ts-history button").count() == 0
    private = ann.evaluate(
        "performance.getEntriesByType('resource').map(e => e.name).findLast(n => n.includes('/frame/'))"
    )
    assert ann.evaluate("place => fetch(place).then(r => r.status)", private) == 200
    assert bob.request.get(private).status == 404


def test_a_video_that_is_refused_leaves_the_page_as_it_was(visit, tmp_path, pictures):
    page = visit()
    (tmp_path / f"{'x' * 20}.mp4").write_bytes(b"no video")
    page.set_input_files("#ts-file", tmp_path / f"{'x' * 20}.mp4")
    page.wait_for_selector("#ts-toast:visible")
    assert page.inner_text("#ts-toast").startswith(f"{'x' * 20}: expected a video")
    assert page.get_attribute("#ts", "data-stage") == "empty"
    page.screenshot(path=pictures / "8_refused.png")
    (tmp_path / "large.mp4").write_bytes(bytes(1_500_000))
    page.set_input_files("#ts-file", tmp_path / "large.mp4")
    page.wait_for_selector("#ts-toast:has-text('at most 1 MB')")
    track_upload(page, write_video(tmp_path / "grey.mp4"))
    assert not page.is_visible("#ts-toast")
    ask(page, "the circle")  # of a video without a single track


def test_a_closed_page_takes_its_files_along(visit, site, tiny_video):
    page = visit()
    track_upload(page, tiny_video)
    place = page.evaluate("performance.getEntriesByType('resource').map(e => e.name).find(n => n.includes('/frame/'))")
    (folder,) = site[1].rglob(place.split("/")[4])
    assert any(folder.iterdir())
    page.close()
    until = time.monotonic() + 20
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.2)
    assert not folder.exists()


def test_the_page_fits_a_telephone(visit, pictures):
    page = visit()
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#ts-samples button >> nth=0")
    page.wait_for_selector("#ts[data-stage=ready]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=pictures / "9_telephone.png", full_page=True)
