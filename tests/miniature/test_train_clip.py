import json
import os
import signal

import numpy as np
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from typer.testing import CliRunner

from core import cli
from core.errors import InputError, OutputError
from core.open_clip_folder import load_open_clip
from core.text import load_text_encoder
from core.types import Expression
from miniature import train_clip
from miniature.clip_training import losses
from miniature.clip_training.captions import UNSAID, VARIANTS, caption_texts, fact_indices, holds, make_captions, rows
from miniature.clip_training.data import stack_views, to_pixels
from miniature.clip_training.evaluate import evaluate_clip, retrieval
from miniature.clip_training.views import ClipViews, best_crops, render_all, render_views
from miniature.clip_training.vocabulary import count_words, learn_merges, vocabulary_size, write_merges
from miniature.train_clip import SMOKE, ClipSettings, rate, train
from miniature.world import make_clip
from miniature.world.spec import COLOURS, SHAPES, TEXTURES

CPU = torch.device("cpu")
WORDS = count_words(["the red striped star", "all the stars that move", "a red disc"])


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "merges.txt.gz"
    write_merges(path, learn_merges(WORDS))
    return SimpleTokenizer(bpe_path=str(path), context_length=train_clip.CONTEXT_LENGTH)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("clip") / "out"
    return out, train(out, SMOKE, CPU, 0)


# Vocabulary


def test_every_learnt_word_is_one_token_and_an_unseen_one_falls_to_pieces(tokenizer):
    assert all(len(tokenizer.encode(word)) == 1 for word in WORDS)
    assert len(tokenizer.encode("zebra")) > 1
    assert tokenizer.decode(tokenizer.encode("Zebra über red")).strip() == "zebra über red"
    assert tokenizer.vocab_size == vocabulary_size(learn_merges(WORDS))


def test_the_same_words_give_the_same_file(tmp_path):
    for name, words in (("a", WORDS), ("b", dict(reversed(WORDS.items())))):
        write_merges(tmp_path / name, learn_merges(type(WORDS)(words)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Captions


def test_every_caption_lies_in_the_row_of_its_facts():
    captions = caption_texts()
    facts = torch.tensor([f for _, f in captions])
    variant = torch.arange(len(captions)) % len(VARIANTS)
    assert torch.equal(rows(facts, variant), torch.arange(len(captions)))


def test_captions_say_what_their_facts_say():
    captions = dict((facts, text) for text, facts in reversed(caption_texts()))
    s, c, t = SHAPES.index("star"), list(COLOURS).index("red"), TEXTURES.index("striped")
    assert captions[s, c, t] == "the red striped star"
    assert captions[s, UNSAID, UNSAID] == "the star"
    assert captions[UNSAID, c, UNSAID].startswith("the red ")


def test_a_drawn_caption_holds_for_its_object_and_says_something(tokenizer):
    torch.manual_seed(0)
    captions = make_captions(tokenizer, CPU)
    facts = torch.randint(0, 4, (200, 3))
    said = captions.facts[captions.draw(facts)]
    assert (said != UNSAID).any(1).all()
    assert holds(said, facts).diagonal().all()
    assert len({tuple(row) for row in (said == UNSAID).tolist()}) == 7


def test_a_caption_holds_for_a_frame_that_shows_any_such_object():
    captions = torch.tensor([[1, 2, UNSAID], [3, UNSAID, UNSAID], [UNSAID, UNSAID, 0]])
    frames = torch.tensor([[[1, 2, 3], [-2, -2, -2]], [[3, 2, 0], [1, 9, 1]]])
    assert holds(captions, frames).tolist() == [[True, False, False], [False, True, True]]
    assert holds(captions, frames[:, 0]).tolist() == [[True, False, False], [False, True, True]]


def test_words_that_training_never_uses_match_no_caption_that_says_them():
    assert fact_indices(("star", "red", "chevron")) == (SHAPES.index("star"), 0, UNSAID)
    assert not holds(torch.tensor([[UNSAID, UNSAID, 0]]), torch.tensor([[3, 0, UNSAID]])).any()


# Views


def test_a_crop_shows_its_object_in_the_middle():
    clip = make_clip(3)
    views = render_views(3, 48, 2)
    assert views.crops.shape[1:] == views.frames.shape[1:] == (48, 48, 3)
    whole = [k for k, o in enumerate(views.crop_objects) if clip.objects[o].texture == "plain"]
    near = [
        np.abs(views.crops[k, 18:30, 18:30].astype(int) - clip.objects[views.crop_objects[k]].rgb).sum(-1).min()
        for k in whole
    ]
    assert np.median(near) < 60  # lighting drifts and noise, but the colour is there


def test_views_name_the_targets_and_what_each_frame_shows():
    clip, views = make_clip(5), render_views(5, 32, 3)
    assert len(views.frames) == 3
    assert sum(len(shown) for shown in views.visible) == len(views.crops) == len(views.crop_areas)
    for expression, targets in zip(views.expressions, views.targets, strict=True):
        assert tuple(clip.objects[o].id for o in targets) == expression.target_ids


def test_worker_processes_render_the_same_views_in_order():
    alone, shared = list(render_all([0, 1], 16, 1, 0)), list(render_all([0, 1], 16, 1, 1))
    for a, b in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        assert a.facts == b.facts


def test_the_gallery_takes_each_objects_most_visible_crop():
    crops = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 4, 4, 3), np.uint8)
    facts = (("star", "red", "plain"), ("disc", "blue", "dotted"))
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    views = ClipViews(facts, crops, (0, 1, 0), np.array([5, 9, 7]), frames, ((0, 1),), (), ())
    chosen, names = best_crops([views])
    assert chosen[:, 0, 0, 0].tolist() == [2, 1]
    assert names == list(facts)


# Data and losses


def test_pairs_are_crops_of_targets_and_of_others_of_the_same_clip(tokenizer):
    crops, frames = np.zeros((3, 4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3), np.uint8)
    facts = (("star", "red", "plain"), ("disc", "blue", "dotted"))
    said = (Expression("0", "red", ("1",), kind="attribute"), Expression("1", "stars that move", ("1",), kind="motion"))
    one = ClipViews(facts, crops, (0, 1, 0), np.ones(3, int), frames, ((0, 1),), said, ((0,), (0,)))
    data = stack_views([one, one], tokenizer, CPU)
    assert data.pairs.shape == (2, train_clip.CONTEXT_LENGTH)
    assert data.hits.tolist() == [[0, 2], [3, 5]]
    assert [sorted(set(row)) for row in data.misses.tolist()] == [[1], [4]]
    assert data.words.shape == (4, train_clip.CONTEXT_LENGTH)
    assert data.crop_facts.tolist()[:2] == [[SHAPES.index("star"), 0, 0], [0, list(COLOURS).index("blue"), 2]]


def test_pixels_are_scaled_centred_or_randomly_placed():
    images = torch.zeros(64, 6, 6, 3, dtype=torch.uint8)
    images[:, 1:5, 1:5] = 255
    still = to_pixels(images, 4, augment=False)
    assert still.shape == (64, 3, 4, 4)
    assert (still == 1).all()
    torch.manual_seed(0)
    moved = to_pixels(images, 4, augment=True)
    assert moved.shape == (64, 3, 4, 4)
    assert moved.min() == -1
    assert moved.max() <= 1
    assert len({tuple(image[0].sign().flatten().tolist()) for image in moved}) > 3


def test_augmentation_moves_and_mirrors_but_never_turns():
    images = torch.zeros(200, 6, 6, 3, dtype=torch.uint8)
    images[:, :, 0] = 200  # a column at the left border
    moved = to_pixels(images, 6, augment=True)[:, 0] > 0
    columns = moved.any(1)
    assert (columns.sum(1) == 1).all()
    assert set(columns.int().argmax(1).tolist()) == {0, 5}


def test_the_pair_loss_falls_as_labels_are_met():
    images = torch.eye(3)
    labels = torch.eye(3).bool()
    scale, bias = torch.tensor(10.0), torch.tensor(-5.0)
    good = losses.pair_loss(images, images, scale, bias, labels)
    assert good < 0.05 < losses.pair_loss(images, images.roll(1, 0), scale, bias, labels)
    shared = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    texts = torch.nn.functional.normalize(torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]), dim=1)
    assert losses.pair_loss(texts, texts, scale, bias, shared) < 0.05


def test_hidden_words_are_never_the_ends_and_all_real_positions_count(tokenizer):
    ids = tokenizer(["the red star", "a red disc"]).repeat(50, 1)
    special = (tokenizer.sot_token_id, tokenizer.eot_token_id)
    torch.manual_seed(0)
    hidden, real = losses.corrupt(ids, special, 0.5)
    assert real.sum(1).unique().tolist() == [5]
    changed = hidden != ids
    assert not changed[:, 0].any()
    assert not changed[:, 4:].any()
    assert 0.35 < changed[:, 1:4].float().mean() < 0.65
    perfect = torch.nn.functional.one_hot(ids, tokenizer.vocab_size).float() * 50
    assert losses.word_loss(perfect, ids, real) < 1e-4


# The run as a whole


def test_the_folder_is_a_text_encoder_with_a_record_and_a_log(trained):
    out, figures = trained
    names = ["bpe_merges.txt.gz", "clip.json", "log.jsonl", "open_clip_config.json", "open_clip_model.safetensors"]
    assert sorted(p.name for p in out.iterdir()) == names
    record = json.loads((out / "clip.json").read_text())
    assert record["figures"] == figures
    assert record["data"]["train"] == [0, SMOKE.clips]
    assert record["settings"]["seed"] == 0
    assert json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"] == SMOKE.max_steps
    features = load_text_encoder(str(out), "cpu").encode(["the red star", "squares that move left, then stop"])
    assert features.tokens.shape[-1] == 128
    assert sum(p.stat().st_size for p in out.iterdir()) < 16e6


def test_the_same_figures_come_from_the_written_folder(trained):
    out, figures = trained
    assert evaluate_clip(out, "valid", SMOKE.valid_clips)["gallery"] == figures["gallery"]
    assert evaluate_clip(out, "valid", SMOKE.valid_clips)["n"] == figures["n"]


def test_a_model_that_cannot_see_finds_crops_by_chance_only(trained):
    out, _ = trained
    views = list(render_all(range(200_000, 200_004), 72, 2, 0))
    figures = retrieval(out, views, CPU)
    assert 0 < figures["chance"] < 0.5
    assert figures["gallery"] >= figures["n"] > 3
    assert 0 <= figures["r1"] <= 1


def test_a_few_steps_on_a_few_clips_lower_the_losses(tokenizer):
    views = list(render_all(range(4), 72, 2, 0))
    torch.manual_seed(0)
    config = train_clip.model_config(tokenizer.vocab_size)
    config["vision_cfg"] |= {"layers": 1, "patch_size": 16}
    trainer = train_clip.ClipTrainer(config, (tokenizer.sot_token_id, tokenizer.eot_token_id))
    data, captions = stack_views(views, tokenizer, CPU), make_captions(tokenizer, CPU)
    train_clip.optimise(trainer, data, captions, ClipSettings(minutes=5, batch=16, max_steps=60), CPU)
    with torch.no_grad():
        torch.manual_seed(1)
        after = trainer.losses(data, captions, 64)
        torch.manual_seed(0)
        fresh = train_clip.ClipTrainer(config, (tokenizer.sot_token_id, tokenizer.eot_token_id))
        torch.manual_seed(1)
        before = fresh.losses(data, captions, 64)
    assert after["word"] < before["word"] * 0.8
    assert after["pair"] < before["pair"] * 0.95


def test_the_rate_rises_then_falls_to_a_hundredth():
    settings = ClipSettings(learning_rate=1.0, warm_up=0.1)
    assert rate(settings, 0.0) < 0.02
    assert rate(settings, 0.1) == pytest.approx(1.0)
    assert rate(settings, 0.05) < rate(settings, 0.3) > rate(settings, 0.9)
    assert rate(settings, 1.0) == pytest.approx(0.01)


def test_the_weights_read_what_they_were_saved_as(trained):
    model, tokenizer = load_open_clip(trained[0], "cpu")
    assert model.context_length == train_clip.CONTEXT_LENGTH
    assert tokenizer.vocab_size == model.vocab_size
    assert model.visual.image_size == (64, 64)


def test_the_command_ends_with_its_figures_as_json(tmp_path):
    result = CliRunner().invoke(train_clip.app, ["--out", str(tmp_path / "o"), "--smoke", "--workers", "0"])
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout.splitlines()[-1])
    assert {"clip_r1", "clip_chance", "clip_n", "clip_gallery", "device", "versions"} <= set(line)


def test_a_signal_is_named_and_leaves_nothing(command, tmp_path, monkeypatch):
    monkeypatch.setattr(train_clip, "optimise", lambda *args: os.kill(os.getpid(), signal.SIGTERM))
    words = ("--out", tmp_path / "o", "--smoke", "--workers", 0, "--device", "cpu")
    ended = command(*words, app=lambda: cli.run(train_clip.app), name="train_clip")
    assert ended.code == 128 + signal.SIGTERM
    assert "o: training ended by SIGTERM; nothing was kept, and the same command starts anew" in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--clips", "0"], "--clips"), (["--clips", "4000"], "3000"), (["--minutes", "0"], "--minutes"),
     (["--device", "toaster"], "toaster")],
)  # fmt: skip
def test_impossible_arguments_are_refused_before_anything_is_rendered(tmp_path, arguments, message):
    result = CliRunner().invoke(train_clip.app, ["--out", str(tmp_path / "o"), *arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "o").exists()


def test_an_output_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError):
        train(tmp_path / "file" / "out", SMOKE, CPU, 0)
