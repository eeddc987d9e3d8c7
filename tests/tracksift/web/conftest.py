"""A page that is served in this process, with few prompts so that tracking takes a second or two."""

import importlib
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvicorn

from tests.tracksift.web.visiting import EchoGrounder
from tracksift.ask import Pipeline
from tracksift.web.limits import Limits
from tracksift.web.studio import Sample


@pytest.fixture(scope="module")
def few_prompts():
    """As `quick_grid`, for a whole module."""
    ask = importlib.import_module("tracksift.ask")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ask, "MINIATURE_GRID", replace(ask.MINIATURE_GRID, points_per_side=4))
        yield


@pytest.fixture(scope="module")
def limits():
    return Limits(megabytes=1, frames=12, pixels=320 * 320, boxes=3, answers=4, sessions=30, grace=0.5)


@pytest.fixture(scope="module")
def application(few_prompts, limits, tiny_video, tmp_path_factory):
    """Makes the page's application: `with application(grounder=...) as (app, root)`."""
    from tracksift.web.server import serving

    @contextmanager
    def make(grounder=None):
        root = tmp_path_factory.mktemp("visitors")
        samples = [Sample("Shapes <b>1</b>", tiny_video, ("the circle", "the red star"))]
        with serving(Pipeline(device="cpu"), limits=limits, samples=samples, grounder=grounder, folder=root) as app:
            yield app, root

    return make


@contextmanager
def listening(app):
    """The address of an application that is served by a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not (server.started and server.servers):
        thread.join(0.05)
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def site(application):
    """Address and folder of a page that is served, whose grounder is the tests' own."""
    with application(EchoGrounder()) as (app, root), listening(app) as address:
        yield address, root
