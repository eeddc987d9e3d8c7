import json
import os
import signal
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from core import cli
from core.errors import CheckpointError, InputError
from miniature import train_detector
from miniature.detector_training import evaluate, forward, losses, phrases, pool
from miniature.detector_training import vocabulary as words
from miniature.detector_training.batches import GROUPS, SHOWN, draw_batch, jitter, turn
from miniature.detector_training.evaluate import Answered, Asked
from miniature.detector_training.model import Size, freeze, frozen_state, make_model
from miniature.detector_training.trainer import SMOKE, TERMS, Trainer, read_state
from miniature.train_detector import app, choose_settings, make_processor
from miniature.training_steps import rate_at
from proposals.detector import Detector, load_detector

CPU = torch.device("cpu")
TINY = Size(16, 2, 8)
SCENES, STEPS = 3, 250
OLD = tuple(int(part) for part in transformers.__version__.split(".")[:2]) < (5, 20)
"""Whether the installed transformers cuts text positions to whole numbers, as 5.17 does and 5.23 does not."""


@pytest.fixture(scope="module")
def model():
    """A thawed model whose box heads already move boxes, its batch norms at rest."""
    torch.manual_seed(0)
    made = make_model(TINY)
    with torch.no_grad():
        for head in (made.bbox_embed[0], made.model.encoder_output_bbox_embed):
            head.layers[-1].weight.normal_(0, 0.05)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.eval()
    return made


@pytest.fixture(scope="module")
def scenes():
    with_scenes = pool.Pool(2, CPU, workers=0)
    assert list(with_scenes.wait_for(2)) == [1, 2]
    yield with_scenes
    with_scenes.close()


@pytest.fixture(scope="module")
def bank():
    return phrases.make_bank(words.make_vocabulary(), 1, 0, CPU)


# words


def test_the_tokenizer_and_the_fast_way_read_the_same():
    tokenizer, vocabulary = words.make_tokenizer(), words.make_vocabulary()
    for text in (
        "the red star",
        "Striped things with dots, then a dog",
        "all that is plain",
        "every star except the x",
    ):
        ids = words.token_ids(text, vocabulary, 24)
        assert [i for i in ids if i] == tokenizer(text + ".")["input_ids"]


def test_every_word_of_a_look_has_a_token_of_its_own():
    vocabulary = words.make_vocabulary()
    numbers = [vocabulary[word] for word in phrases.look_words()]
    assert len(set(numbers)) == len(set(phrases.look_words()))
    assert words.UNKNOWN not in numbers


def test_a_long_text_keeps_its_stop_and_its_end():
    ids = words.token_ids("star " * 50, words.make_vocabulary(), 24)
    assert (len(ids), ids[-2:]) == (24, [words.STOP, words.END])


def test_the_layout_of_texts_is_the_packages(bank):
    from transformers.models.grounding_dino import modeling_grounding_dino as package

    ids, read = bank.ids[::50], package.generate_masks_with_special_tokens_and_transfer_map
    attend, places = read(ids) if OLD else read(ids, torch.tensor([101, 102, 1012, 1029]))
    ours, new = phrases.text_layout(ids)
    new = torch.where(phrases.is_special(ids), 0, new) if OLD else new
    assert torch.equal(ours, attend)
    assert torch.equal(new, places)


def test_a_row_says_exactly_the_words_of_its_look(bank):
    vocabulary = words.make_vocabulary()
    generator = torch.Generator().manual_seed(0)
    looks = torch.tensor([[-1, 0, -1, 3], [1, -1, 2, -1], [-1, 9, 1, 8]])
    for row, look in zip(bank.rows(looks, generator), looks.tolist(), strict=True):
        if bank.strange[row]:
            continue
        said = set(bank.ids[row].tolist())
        if look[1] >= 0:  # colours have one word each
            assert vocabulary[phrases.WORDS[1][look[1]]] in said


def test_no_wording_is_cut(bank):
    assert bool((bank.ids != words.PAD).sum(dim=1).max() <= phrases.LENGTH)
    assert not bool((bank.ids[:, -1] == words.END).any())


def test_looks_fit_the_objects_that_have_all_their_words():
    looks = torch.tensor([[-1, 2, -1, 4]])
    facts = torch.tensor([[[0, 2, 1, 4], [0, 2, 1, 3], [1, 5, 0, 4]]])
    assert phrases.fits(looks, facts).tolist() == [[True, False, False]]


def test_sizes_stay_unsaid_where_an_object_grows_and_some_looks_fit_nothing():
    facts = torch.tensor([[[0, 2, 1, 4], [phrases.UNCERTAIN, 3, 0, 1]]]).expand(400, -1, -1)
    visible = torch.ones(400, 2, dtype=torch.bool)
    looks = phrases.draw_looks(facts, visible, torch.Generator().manual_seed(0))
    assert (looks[:, 0] == phrases.UNSAID).all()
    assert ((looks != phrases.UNSAID).any(dim=1)).all()
    share = phrases.fits(looks, facts).any(dim=1).float().mean()
    assert 0.65 < share < 0.9


# frames


def test_a_scene_is_the_same_from_the_same_seed_and_its_boxes_hold_their_objects():
    one, two = pool.draw(11_000), pool.draw(11_000)
    np.testing.assert_array_equal(one.frames, two.frames)
    assert one.frames.shape == (pool.FRAMES, 256, 256, 3)
    shown = one.area > 0
    x, y, w, h = (one.boxes[shown] * 256).T
    assert (x - w / 2 >= -1e-3).all()
    assert (y + h / 2 <= 256 + 1e-3).all()
    assert (one.area[shown] <= w * h + 1e-3).all()


def test_a_box_is_that_of_its_mask():
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:5, 4:12] = True
    assert pool.box_of(mask) == (0.4, 0.35, 0.4, 0.3)


@pytest.mark.slow
def test_workers_draw_the_scenes_that_this_process_would_draw():
    with_workers = pool.Pool(2, CPU, workers=1)
    try:
        assert list(with_workers.wait_for(2))[-1] == 2
        np.testing.assert_array_equal(with_workers.frames[0].numpy(), pool.draw(pool.FIRST_SEED).frames)
    finally:
        with_workers.close()


def test_turning_an_image_turns_its_boxes():
    frames = torch.zeros(64, 16, 16, 3, dtype=torch.uint8)
    frames[:, 2:5, 8:14] = 255
    boxes = torch.tensor([11 / 16, 3.5 / 16, 6 / 16, 3 / 16]).expand(64, 1, 4)
    images, turned = turn(frames, boxes, torch.Generator().manual_seed(0))
    for image, (x, y, w, h) in zip(images, (turned[:, 0] * 16).tolist(), strict=True):
        ys, xs = np.nonzero(image[0].numpy())
        assert (xs.min(), xs.max() + 1) == pytest.approx((x - w / 2, x + w / 2))
        assert (ys.min(), ys.max() + 1) == pytest.approx((y - h / 2, y + h / 2))
    assert len({tuple(box) for box in turned[:, 0].tolist()}) > 4


def test_jittered_boxes_still_overlap_their_own():
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.3]]]).expand(8, -1, -1)
    noisy = jitter(boxes, torch.ones(8, 1, dtype=torch.bool), torch.Generator().manual_seed(0))
    assert noisy.shape == (8, GROUPS, 4)
    assert (losses.overlaps(noisy, boxes)[0] > 0.05).all()


def test_a_batch_matches_only_what_shows_and_fits(scenes, bank):
    batch = draw_batch(scenes, bank, 32, torch.Generator().manual_seed(0))
    assert not (batch.match & ~batch.visible).any()
    assert batch.match.any()
    assert batch.pixels.shape == (32, 3, 256, 256)
    assert batch.old.float().mean() == pytest.approx(0.5, abs=0.3)
    assert SHOWN > 0


# forward


def test_the_training_forward_is_the_packages_forward(model):
    """Of this release of transformers; the other convention of text positions is the other one's."""
    frozen = freeze(model, TINY)
    texts = ["the red star", "small striped thing that moves left, then stops"]
    ids = torch.tensor([words.token_ids(text, words.make_vocabulary(), 24) for text in texts])
    attend, places = phrases.text_layout(ids)
    pixels = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    old = torch.tensor([OLD] * 2)
    places = torch.where(old[:, None] & phrases.is_special(ids), 0, places)
    geometry = forward.make_geometry(model, 256, 24)
    noisy = torch.full((2, 4, 4), 0.3)
    with torch.no_grad():
        ours = forward.forward(model, geometry, pixels, ids, attend, places, old, noisy, 2)
        theirs = frozen(pixel_values=pixels, input_ids=ids, attention_mask=(ids != 0).long())
    real = (ids != 0)[:, None]
    gap = (ours.logits[-1][:, : TINY.queries] - theirs.logits[:, :, :24]).masked_fill(~real, 0)
    assert gap.abs().max() < 1e-4
    torch.testing.assert_close(ours.boxes[-1][:, : TINY.queries], theirs.pred_boxes, atol=1e-5, rtol=0)


def test_jittered_boxes_change_nothing_for_the_models_own_queries(model):
    ids = torch.tensor([words.token_ids("the disc", words.make_vocabulary(), 24)])
    attend, places = phrases.text_layout(ids)
    geometry = forward.make_geometry(model, 256, 24)
    pixels, old = torch.randn(1, 3, 256, 256), torch.tensor([False])
    with torch.no_grad():
        one, two = (
            forward.forward(model, geometry, pixels, ids, attend, places, old, torch.full((1, 4, 4), value), 2)
            for value in (0.2, 0.7)
        )
    torch.testing.assert_close(one.boxes[:, :, : TINY.queries], two.boxes[:, :, : TINY.queries])
    assert not torch.allclose(one.boxes[:, :, TINY.queries :], two.boxes[:, :, TINY.queries :])


def test_folded_batch_norms_give_what_the_real_ones_gave_in_float16_too():
    real = nn.BatchNorm2d(3).eval()
    with torch.no_grad():
        real.running_mean.copy_(torch.tensor([1.0, -300.0, 20.0]))
        real.running_var.copy_(torch.tensor([4.0, 900.0, 1e-2]))
        real.weight.uniform_(0.5, 2)
    state = frozen_state({f"x.{k}": v for k, v in real.state_dict().items()})
    assert "x.num_batches_tracked" not in state
    x = torch.randn(2, 3, 4, 4) + real.running_mean[:, None, None]
    scale = state["x.weight"] * (state["x.running_var"] + 1e-5).rsqrt()
    folded = x * scale[:, None, None] + (state["x.bias"] - state["x.running_mean"] * scale)[:, None, None]
    torch.testing.assert_close(folded, real(x), rtol=1e-2, atol=1e-2)
    assert (state["x.running_var"].half() == 1).all()


# losses


def test_boxes_on_their_objects_cost_nothing_and_words_decide_the_rest():
    truth = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]]])
    visible, match = torch.tensor([[True, True]]), torch.tensor([[True, False]])
    said = losses.Said(torch.tensor([[False, True, True, False, False]]), torch.tensor([[True] * 4 + [False]]))
    right = torch.tensor([[[-9.0, 9, 9, -9, 9], [-9.0, -9, -9, -9, 9]]])
    terms = losses.jitter_loss(right, truth, truth, visible, match, said)
    assert terms.tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert losses.jitter_loss(-right, truth, truth, visible, match, said)[0] > 1
    assert losses.query_loss(right, truth, truth, match, said).tolist() == pytest.approx([0, 0, 0], abs=1e-4)


def test_no_start_stop_or_end_may_fire_not_even_for_what_fits():
    """The package scores a box by its best token, so that one of these would be found for any phrase."""
    said = losses.Said(torch.tensor([[False, True, False]]), torch.tensor([[True, True, True]]))
    wanted = torch.tensor([[True, False]])
    right = torch.tensor([[[-9.0, 9, -9], [-9.0, -9, -9]]])
    for query in (0, 1):
        for token in (0, 2):
            wrong = right.clone()
            wrong[0, query, token] = 3.0
            assert losses.focal(wrong, wanted, said)[0, query] > losses.focal(right, wanted, said)[0, query] + 1


def test_naming_costs_nothing_where_states_say_their_words_and_skips_what_is_unsaid_or_not_counted():
    table = torch.eye(5)
    states = 50 * torch.stack([table[1] + table[2], table[0] + table[4], table[0]])
    numbers = torch.tensor([[1, 0], [0, phrases.UNSAID], [1, 1]])
    counted = torch.tensor([True, True, False])
    assert losses.naming_loss(states, table, (2, 3), numbers, counted) == pytest.approx(0, abs=1e-6)
    assert losses.naming_loss(states, table, (2, 3), numbers, ~counted) > 10
    assert losses.naming_loss(states, table, (2, 3), numbers, counted & False) == 0


def test_each_object_gets_the_cheapest_query_that_is_left():
    cost = torch.tensor([[[1.0, 2.0], [1.5, 9.0], [5.0, 3.0]]])
    taken, owner = losses.assign(cost, torch.tensor([[True, True]]))
    assert taken.tolist() == [[True, False, True]]
    assert owner.tolist() == [[0, 0, 1]]
    assert not losses.assign(cost, torch.tensor([[False, False]]))[0].any()


def test_proposals_outside_every_box_learn_no_box():
    truth = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.9, 0.9, 0.2, 0.2]]])
    logits = torch.tensor([[[9.0], [-9.0]]])
    yes = torch.tensor([[True]])
    taken, owner = losses.own(boxes, truth, yes)
    assert taken.tolist() == [[True, False]]
    terms = losses.proposal_loss(logits, boxes, truth, taken, owner, yes, losses.Said(yes, yes))
    assert terms.tolist() == pytest.approx([0, 0, 0], abs=1e-4)


def test_overlap_of_apart_boxes_is_negative_in_the_generalised_form():
    one, two = torch.tensor([0.2, 0.2, 0.2, 0.2]), torch.tensor([0.8, 0.8, 0.2, 0.2])
    iou, generalised = losses.overlaps(one, two)
    assert (float(iou), float(generalised) < 0) == (0.0, True)
    assert losses.overlaps(one, one)[1] == pytest.approx(1.0, abs=1e-5)


# training


@pytest.fixture
def trainer():
    return Trainer(replace(SMOKE, size=TINY), CPU)


def test_a_step_tells_its_losses_and_moves_the_average(trainer, scenes):
    before = trainer.average.model.enc_output.weight.clone()
    told = trainer.advance(scenes)
    assert len(told) == len(TERMS)
    assert float(told[0]) == pytest.approx(float(told[1:5].sum()), rel=1e-4)
    assert not torch.equal(trainer.average.model.enc_output.weight, before)
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_captured_step_tells_and_learns_what_a_plain_one_does():
    cuda = torch.device("cuda")
    frames = pool.Pool(2, cuda, workers=0)
    list(frames.wait_for(2))
    told = []
    for capture in (False, True):
        made = Trainer(replace(SMOKE, size=TINY, frames=4), cuda, capture=capture)
        if capture:
            made.warm_up(frames)
            made.generator.manual_seed(made.settings.seed)
        told.append([made.advance(frames).tolist() for _ in range(3)])
    np.testing.assert_allclose(told[0], told[1], rtol=0.05)


def test_a_step_that_cannot_be_captured_is_run_without_and_says_so(scenes, monkeypatch):
    def refuse(work, parameters, example):
        work(*example)[0].backward()
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr("miniature.detector_training.trainer.CapturedStep", refuse)
    made, plain = (Trainer(replace(SMOKE, size=TINY), CPU, capture=capture) for capture in (True, False))
    with pytest.warns(UserWarning, match="not permitted when stream is capturing"):
        made.warm_up(scenes)
    assert not made.capture
    made.generator.manual_seed(made.settings.seed)
    torch.testing.assert_close(made.advance(scenes), plain.advance(scenes))


def test_every_parameter_learns(trainer, scenes):
    batch = draw_batch(scenes, trainer.bank, 4, trainer.generator)
    trainer._backward(batch)
    still = [name for name, p in trainer.model.named_parameters() if p.grad is None]
    assert still == []
    assert trainer.names.grad is not None


def test_a_restored_training_goes_on_as_it_would_have(trainer, scenes, tmp_path):
    trainer.advance(scenes)
    trainer.save(tmp_path / "state.pt")
    want = trainer.advance(scenes)
    other = Trainer(trainer.settings, CPU)
    other.restore(tmp_path / "state.pt")
    torch.testing.assert_close(other.advance(scenes), want, rtol=1e-4, atol=1e-4)
    assert other.step == 2


def test_states_of_other_settings_or_other_things_are_refused(trainer, tmp_path):
    trainer.save(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="saved under"):
        Trainer(replace(trainer.settings, seed=7), CPU).restore(tmp_path / "state.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    (tmp_path / "cut.pt").write_bytes(b"nothing")
    for name in ("other.pt", "cut.pt"):
        with pytest.raises(CheckpointError, match="training state"):
            trainer.restore(tmp_path / name)


def test_the_rate_rises_and_then_falls_to_a_hundredth():
    rates = [rate_at(SMOKE, step, 0.0) for step in (0, 149, 299, 5000)]
    assert rates == sorted(rates)
    assert rates[-1] == SMOKE.rate
    assert rate_at(SMOKE, 5000, 1.0) == pytest.approx(SMOKE.rate / 100)


@pytest.mark.slow
def test_a_few_hundred_steps_tell_objects_that_fit_a_phrase_from_those_that_do_not():
    """Frames of a quarter of the size, and the score that the package gives a box: that of its best token."""
    settings = replace(SMOKE, size=TINY, pool=SCENES, first=SCENES, frames=12, wordings=4, warm_up=50)
    made, few = Trainer(settings, CPU), pool.Pool(SCENES, CPU, workers=0)
    list(few.wait_for(SCENES))
    few.frames = few.frames[:, :, 2::4, 2::4].contiguous()
    made._geometry = forward.make_geometry(made.model, 64, phrases.LENGTH)
    for _ in range(STEPS):
        made.advance(few)
    batch = draw_batch(few, made.bank, 96, torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = forward.forward(
            made.model, made._geometry, batch.pixels, batch.ids, batch.attend, batch.positions, batch.old, batch.noisy,
            GROUPS,
        )  # fmt: skip
    score = found.logits[-1][:, TINY.queries :].masked_fill(batch.ids[:, None] == words.PAD, -1e4).amax(dim=2)
    match, visible = batch.match.repeat(1, GROUPS), batch.visible.repeat(1, GROUPS)
    fit, other = score[match], score[visible & ~match]
    # 0.96 as it is; 0.71 without naming, 0.81 where start, stop and end may fire.
    assert (fit[:, None] > other[None]).float().mean() > 0.88


# figures


def asked(*boxes, allowed=(), no_target=False):
    pair = [np.array(b, dtype=np.float64).reshape(-1, 4) for b in (boxes, allowed)]
    return Asked("x", *pair, no_target)


def test_a_box_finds_one_object_and_a_second_one_on_it_is_a_fault():
    boxes, scores = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60.0]]), np.array([0.9, 0.8, 0.7])
    found = evaluate.judge(boxes, scores, asked((0, 0, 10, 10), (20, 20, 30, 30), allowed=[(50, 50, 60, 60)]))
    assert found.hits.tolist() == [True, False, False]
    assert found.excused.tolist() == [False, False, True]
    figures = evaluate.figures([found], 0.5)
    assert (figures.recall, figures.precision) == (0.5, 0.5)


def test_false_boxes_are_the_share_of_absent_targets_that_get_any():
    nothing = np.zeros(0)
    none = Answered(nothing, nothing.astype(bool), nothing.astype(bool), 0, True)
    some = Answered(np.array([0.6]), np.array([False]), np.array([False]), 0, True)
    figures = evaluate.figures([none, some, none, none], 0.5)
    assert (figures.false_boxes, figures.no_target_pairs) == (0.25, 4)
    assert evaluate.figures([none, some], 0.7).false_boxes == 0


def test_the_threshold_of_the_best_f1_is_chosen():
    answers = [
        Answered(np.array([0.8, 0.3]), np.array([True, False]), np.array([False, False]), 1, False),
        Answered(np.array([0.6, 0.2]), np.array([True, False]), np.array([False, False]), 1, False),
    ]
    assert 0.3 <= evaluate.choose_threshold(answers) < 0.6


def test_held_out_frames_ask_attributes_alone_with_the_boxes_of_their_targets():
    frames = list(evaluate.held_out("valid", 1))
    assert len(frames) == evaluate.TIMES
    assert any(a.wanted.size for frame in frames for a in frame.asked)
    for frame in frames:
        for one in frame.asked:
            assert one.wanted.shape[1] == 4
            assert not (one.no_target and len(one.wanted))
    with pytest.raises(InputError, match="expected 1 to 100"):
        list(evaluate.held_out("valid", 101))


def test_a_detector_in_training_answers_held_out_frames(model):
    detector = Detector(freeze(model, TINY), make_processor(), "x", "")
    (frame,) = list(evaluate.held_out("valid", 1))[:1]
    (answers,) = evaluate.answer(detector, [frame])
    assert len(answers) == len(frame.asked)
    assert all((a.scores > evaluate.LOWEST).all() for a in answers)


# the command


def test_a_smoke_training_leaves_a_folder_that_loads_and_a_record(command, tmp_path):
    flags = ("--out", tmp_path / "run", "--smoke", "--device", "cpu")
    ended = command(*flags, app=lambda: app(standalone_mode=False), name="train")
    assert ended.code == 0, ended.err
    folder = tmp_path / "run" / "detector"
    record = json.loads((folder / "detector.json").read_text())
    assert (record["steps"], record["seed"], record["device"]) == (4, 0, "cpu")
    assert record["threshold"] == record["figures"]["valid"]["threshold"]
    assert set(record["figures"]) == {"valid", "shifted_dev"}
    assert (folder / "model.safetensors").stat().st_size < 16e6
    detector = load_detector(str(folder))
    assert detector.read(["the red star"]).ids[0, -2] == words.STOP
    assert len((folder / "log.jsonl").read_text().splitlines()) >= 4


@pytest.mark.slow
def test_a_training_goes_on_where_it_was(command, tmp_path):
    flags = ("--out", tmp_path / "run", "--smoke", "--device", "cpu")
    assert command(*flags, app=lambda: app(standalone_mode=False), name="train").code == 0
    again = command(*flags, "--resume", "--steps", 6, app=lambda: app(standalone_mode=False), name="train")
    assert (again.code, again.figures["steps"]) == (0, 6)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["resumed"] for line in lines if "resumed" in line] == [False, True]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_training_after_its_step_and_it_goes_on(command, tmp_path, monkeypatch, name):
    number, plain = getattr(signal, name), Trainer.advance

    def advance(trainer, scenes):
        if trainer.step == 1:
            os.kill(os.getpid(), number)
        return plain(trainer, scenes)

    flags = ("--out", tmp_path / "run", "--smoke", "--device", "cpu")
    before = signal.getsignal(number)
    monkeypatch.setattr(train_detector, "finish", lambda *args, **values: {})
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", advance)
        ended = command(*flags, app=lambda: cli.run(app), name="train")
    assert (ended.code, signal.getsignal(number)) == (128 + number, before)
    assert f"stopped: {tmp_path / 'run'}: training ended by {name}; --resume goes on from step 2\n" in ended.err
    assert int(read_state(tmp_path / "run" / "state.pt")["drawn"]) == 3
    whole = command(*flags, "--resume", app=lambda: cli.run(app), name="train")
    assert (whole.code, whole.figures["steps"]) == (0, 4), whole.err
    assert int(read_state(tmp_path / "run" / "state.pt")["drawn"]) == 6


def test_a_training_ended_before_its_first_step_says_that_nothing_was_kept(command, tmp_path, monkeypatch):
    monkeypatch.setattr(train_detector, "prepare", lambda *args, **values: os.kill(os.getpid(), signal.SIGTERM))
    flags = ("--out", tmp_path / "run", "--smoke", "--device", "cpu")
    ended = command(*flags, app=lambda: cli.run(app), name="train")
    assert ended.code == 128 + signal.SIGTERM
    assert "ended by SIGTERM; nothing was kept, and the same command starts anew" in ended.err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--minutes", "0"), "more than 0"),
        (("--size", "huge"), "expected one of full, light"),
        (("--resume",), "of an earlier training"),
    ],
)
def test_flags_that_could_only_fail_later_are_refused(command, tmp_path, flags, sentence):
    with pytest.raises(InputError, match=sentence):
        command("--out", tmp_path, *flags, app=lambda: app(standalone_mode=False), name="train")


def test_a_dry_run_writes_nothing(command, tmp_path):
    ended = command("--out", tmp_path / "x", "--dry-run", app=lambda: app(standalone_mode=False), name="train")
    assert (ended.code, (tmp_path / "x").exists()) == (0, False)
    assert "would train" in ended.out


def test_the_flags_choose_the_settings():
    assert choose_settings("light", 3, 16, False) == replace(choose_settings("light", 3, None, False), frames=16)
    assert asdict(choose_settings("light", 3, None, False))["size"]["stride"] == 16


@pytest.mark.parametrize(("size", "most"), [("full", 11.0), ("light", 6.0)])
def test_the_weights_of_each_size_fit_in_their_megabytes(size, most):
    numbers = sum(t.numel() for t in make_model(choose_settings(size, 0, None, False).size).state_dict().values())
    assert most - 2 < 2 * numbers / 1e6 < most
