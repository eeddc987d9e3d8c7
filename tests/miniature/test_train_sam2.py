"""The miniature SAM2's training: its forward equals the package's, losses fall, batches are true, states resume."""

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from core import cli
from core.errors import CheckpointError, InputError, TrackSiftError
from miniature import train_sam2
from miniature.sam2_training import batches, losses, pool, schedule, steps
from miniature.sam2_training.forward import encode, normalise
from miniature.sam2_training.trainer import SMOKE, Settings, Trainer
from proposals.checkpoints import build_sam2, load_sam2
from tracksift.scheduling.stopping import Stop

CONFIG = Path(train_sam2.CONFIG)
CPU = torch.device("cpu")


def disc_clip(seed, side=256):
    """A clip in the pool's layout: two discs that glide over noise, the second absent on frames 5 to 8."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:side, :side]
    pixels = rng.integers(0, 60, (pool.FRAMES, side, side, 4), dtype=np.uint8)
    pixels[..., 3] = 0
    area = np.zeros((pool.MOST_OBJECTS, pool.FRAMES), dtype=np.int32)
    for number, colour in ((1, (220, 40, 40)), (2, (40, 220, 60))):
        x, y = rng.uniform(60, 190, 2)
        for t in range(pool.FRAMES):
            if number == 2 and 5 <= t <= 8:
                continue
            inside = (xs - x - 2 * t) ** 2 + (ys - y) ** 2 < 30**2
            pixels[t, inside] = (*colour, number)
    for number in (1, 2):
        area[number - 1] = (pixels[..., 3] == number).sum(axis=(1, 2))
    return pool.Rendered(seed, pixels, area, 2, 2, True)


@pytest.fixture(autouse=True)
def _discs(monkeypatch):
    """Discs instead of the rendered world: a tenth of the time, and nothing to wait for."""
    monkeypatch.setattr(pool, "render", lambda seed, shifted=False, frames=24: disc_clip(seed))
    torch.manual_seed(0)


@pytest.fixture
def clips():
    made = pool.Pool(2, CPU, workers=0)
    assert list(made.wait_for(2)) == [1, 2]
    return made


def shaken_model(score_bias=0.0):
    """Random weights in which every embedding matters, in evaluation mode."""
    model = build_sam2(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.add_(score_bias)
    return model.eval()


def small_batch(clips, frames, count=2, **options):
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    drawn = batches.draw(rng, clips.area, clips.outlined, count, frames)
    return batches.make_batch(clips, drawn, generator, **{"background": 0.0, "vanish": 0.0, **options})


def package_tracks(model, batch, prompts, owner):
    """Gated masks and scores of the package's own `track_step`, first-frame memories as its predictor makes them."""
    memories = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    masks, scores = [], []
    for t in range(len(batch.frames)):
        here = encode(model, normalise(batch.frames[t])).pick(owner)
        features = {"current_vision_feats": list(here.levels), "feat_sizes": list(here.sizes)}
        out = model.track_step(
            frame_idx=t,
            is_init_cond_frame=t == 0,
            current_vision_pos_embeds=list(here.positions),
            output_dict=memories,
            num_frames=24,
            run_mem_encoder=t > 0,
            **features,
            **(prompts if t == 0 else {"point_inputs": None, "mask_inputs": None}),
        )
        if t == 0:
            large = F.interpolate(out["pred_masks"], size=(256, 256), mode="bilinear", align_corners=False)
            out["maskmem_features"], out["maskmem_pos_enc"] = model._encode_new_memory(
                pred_masks_high_res=large,
                object_score_logits=out["object_score_logits"],
                is_mask_from_pts=True,
                **features,
            )
        memories["non_cond_frame_outputs" if t else "cond_frame_outputs"][t] = out
        masks.append(out["pred_masks"])
        scores.append(out["object_score_logits"])
    return torch.stack(masks), torch.stack(scores)


def package_prompts(batch, group):
    if group == 0:
        return {"point_inputs": None, "mask_inputs": batch.prompts.masks}
    coordinates = batch.prompts.boxes if group == 1 else batch.prompts.points
    labels = torch.tensor([[2, 3]] if group == 1 else [[1]], dtype=torch.int32).expand(len(coordinates), -1)
    return {"point_inputs": {"point_coords": coordinates, "point_labels": labels}, "mask_inputs": None}


def dice(batch, *, by_truth=False, back=0):
    return steps.Chance(torch.full(batch.truth.shape[:2], by_truth), torch.tensor(back))


@pytest.mark.parametrize("score_bias", [3.0, -3.0])
@torch.inference_mode()
def test_the_training_forward_equals_the_packages_track_step(clips, score_bias):
    """Ten frames: memories fall out of the window, and both gates (present and absent) are taken."""
    model = shaken_model(score_bias)
    batch = small_batch(clips, frames=10)
    seen = []

    def record(masks, answer, ious, score, chosen, truth):
        seen.append((answer, score))
        return losses.measure(masks, answer, ious, score, chosen, truth)

    parts = steps.Parts(model.sam_mask_decoder.predict_masks, record)
    steps.clip_step(model, batch, parts, dice(batch))
    scores = torch.stack([score for _, score in seen])
    masks = torch.where(scores[..., None, None] > 0, torch.stack([answer for answer, _ in seen]), -1024.0)
    assert bool((scores > 0).all()) == (score_bias > 0)
    owner = torch.arange(2)
    for group in range(3):
        expected_masks, expected_scores = package_tracks(model, batch, package_prompts(batch, group), owner)
        mine = slice(2 * group, 2 * group + 2)
        later = slice(1 if group == 0 else 0, None)  # a mask prompt answers itself on frame 0
        torch.testing.assert_close(masks[later, mine], expected_masks[later], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scores[later, mine], expected_scores[later], atol=1e-4, rtol=1e-4)
    assert expected_masks.std() > 0.1 or score_bias < 0


def test_the_ground_truth_gate_keeps_the_memory_of_an_object_scored_absent(clips):
    """With every score negative, a memory gated by truth must differ from one gated by the score."""
    model, batch = shaken_model(-3.0), small_batch(clips, frames=3)
    parts = steps.plain_parts(model)
    with torch.inference_mode():
        by_score = steps.clip_step(model, batch, parts, dice(batch))
        by_truth = steps.clip_step(model, batch, parts, dice(batch, by_truth=True))
        far = steps.clip_step(model, batch, parts, dice(batch, back=9))
    assert abs(by_score.total - by_truth.total) > 1e-4
    assert by_score.total != far.total


@pytest.mark.parametrize("stage", schedule.STAGES[:2], ids=lambda stage: stage.name)
def test_every_parameter_that_inference_uses_learns(clips, stage):
    trainer = Trainer(build_sam2(CONFIG), None, SMOKE)
    trainer.parts = steps.plain_parts(trainer.model)
    trainer.backward(clips, stage)
    idle = {name.split(".")[0] for name, p in trainer.model.named_parameters() if p.grad is None}
    memory = {"memory_attention", "memory_encoder", "maskmem_tpos_enc", "obj_ptr_proj", "obj_ptr_tpos_proj"}
    memory |= {"no_obj_ptr", "no_obj_embed_spatial"}
    assert idle == {"no_mem_pos_enc"} | (memory if stage.frames == 1 else set())


def test_the_loss_falls_on_one_batch(clips):
    torch.manual_seed(0)
    model = build_sam2(CONFIG)
    batch, parts = small_batch(clips, frames=2), steps.plain_parts(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    totals = []
    for _ in range(8):
        result = steps.clip_step(model, batch, parts, steps.roll(batch.truth, torch.Generator().manual_seed(0)))
        optimizer.zero_grad()
        torch.autograd.backward(result.total)
        optimizer.step()
        totals.append(float(result.total.detach()))
    assert totals[-1] < 0.6 * totals[0]


def test_losses_of_a_perfect_answer_are_nearly_zero_and_absent_objects_cost_no_mask_loss():
    truth = torch.zeros(2, 32, 32, dtype=torch.bool)
    truth[0, 8:24, 8:24] = True
    logits = (20.0 * truth[:, ::4, ::4].float() - 10)[:, None].expand(-1, 4, -1, -1)
    ious, score = torch.tensor([[1.0] * 4, [0.0] * 4]), torch.tensor([[10.0], [-10.0]])
    chosen = torch.zeros(2, dtype=torch.long)
    perfect = losses.combine(losses.measure(logits, logits[:, :1], ious, score, chosen, truth), 2)
    assert perfect.overlap == 1
    assert perfect.masks + perfect.iou + perfect.present < 0.01
    wrong = logits.clone()
    wrong[1] = 10.0  # a full mask for the absent object
    changed = losses.combine(losses.measure(wrong, wrong[:, :1], ious, score, chosen, truth), 2)
    assert torch.equal(changed.masks, perfect.masks)
    silent = losses.combine(losses.measure(logits, logits[:, :1], ious, -score, chosen, truth), 2)
    assert silent.present > 9


def test_windows_begin_with_a_visible_object_and_stay_in_the_clip():
    area = np.zeros((3, 4, 24), dtype=np.int32)
    area[0, 2, 12:] = 500
    area[1, :2] = 500
    area[2, 0] = batches.LEAST_AREA - 1  # never enough
    drawn = batches.draw(np.random.default_rng(0), area, np.full(3, 4), 200, 8)
    assert set(drawn.clip) == {0, 1}
    assert drawn.frame.min() >= 0
    assert drawn.frame.max() <= 23
    strides = np.diff(drawn.frame, axis=1)
    assert set(np.abs(strides).ravel()) == {1, 2, 3}
    assert 0.2 < (strides[drawn.clip == 1, 0] < 0).mean() < 0.4
    assert (area[drawn.clip, drawn.object, drawn.frame[:, 0]] >= batches.LEAST_AREA).all()


def test_augmented_labels_stay_on_their_pixels(clips):
    """Flips and transposes move colours and labels together: a disc's pixels stay far from the noise."""
    batch = small_batch(clips, frames=4, count=6)
    brightness = batch.frames.amax(-1) - batch.frames.amin(-1)  # [T, B, H, W]
    for n in range(batch.truth.shape[1]):
        inside = brightness[:, n % 6][batch.truth[:, n]]
        assert inside.float().mean() > 90


def test_covered_objects_vanish_for_one_to_three_frames_but_never_on_the_first(clips):
    plain, covered = (small_batch(clips, frames=6, count=8, vanish=share) for share in (0.0, 1.0))
    shown = covered.truth.flatten(2).any(2)
    assert torch.equal(shown[0], plain.truth.flatten(2).any(2)[0])
    gone = (~shown & plain.truth.flatten(2).any(2)).sum(0)
    assert gone.max() <= 3
    assert (gone > 0).sum() >= 4
    assert not torch.equal(plain.frames[1:], covered.frames[1:])


def test_points_lie_on_their_mask_and_boxes_around_it():
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(40, 64, 64, dtype=torch.bool)
    masks[:, 10:30, 20:25] = True
    masks[:, 15:20, :] = False  # in two pieces
    x, y = batches.sample_points(masks, generator)[:, 0].long().T
    assert masks[torch.arange(40), y, x].all()
    boxes = batches.sample_boxes(masks, generator)
    tight = torch.tensor([[20.0, 10.0], [25.0, 30.0]])
    reach = torch.tensor([0.5, 2.0])
    assert ((boxes - tight).abs() <= reach + 1e-4).all()
    assert 0.1 < (boxes == tight).all(-1).all(-1).float().mean() < 0.5


def test_background_clicks_are_absent_objects_clicked_off_every_object(clips):
    batch = small_batch(clips, frames=2, count=4, background=1.0)
    assert not batch.truth[:, 8:].any()
    assert batch.truth[0, :8].flatten(1).any(1).all()
    x, y = batch.prompts.points[:, 0].long().T
    clip = torch.arange(4)
    everything = batch.truth[0].view(3, 4, 256, 256).any(0)
    assert not everything[clip, y, x].any()


def test_the_pool_overwrites_its_oldest_clips_and_counts_them():
    made = pool.Pool(2, CPU, workers=0, skip=5)
    list(made.wait_for(2))
    assert made.filled == made.rendered == 2
    made._store(disc_clip(77))
    assert (made.filled, made.rendered) == (2, 3)
    assert np.array_equal(made.pixels[0].numpy(), disc_clip(77).pixels)
    assert np.array_equal(made.pixels[1].numpy(), disc_clip(pool.FIRST_SEED + 6).pixels)


def test_points_go_to_things_and_masks_and_boxes_to_regions_as_well():
    area = np.full((2, 5, 24), 500, dtype=np.int32)
    area[1, :2] = 0  # the second clip shows regions only, and they are better than nothing
    drawn = batches.draw(np.random.default_rng(0), area, np.array([2, 2]), 200, 8)
    first = drawn.clip == 0
    assert set(drawn.object[2, first]) == {0, 1}
    assert set(drawn.object[0, first]) == set(drawn.object[1, first]) == set(range(5))
    assert set(drawn.object[2, ~first]) == {2, 3, 4}


def test_background_clicks_spare_clips_in_which_not_all_is_labelled(clips):
    clips.complete[:] = [True, False]
    drawn = batches.Draw(np.array([0, 1]), np.zeros((2, 2), dtype=np.int64), np.zeros((3, 2), dtype=np.int64))
    generator = torch.Generator().manual_seed(0)
    batch = batches.make_batch(clips, drawn, generator, background=1.0, vanish=0.0)
    assert batch.truth[0, 4:].flatten(1).any(1).tolist() == [False, True]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_any_run_of_clips_holds_its_share_of_cutouts_and_no_seed_twice(share):
    orders = [pool.order(number, share) for number in range(200)]
    for start in (0, 37, 100):
        assert sum(cut for cut, _ in orders[start : start + 100]) == pytest.approx(100 * share, abs=1)
    assert len(set(orders)) == 200
    assert all(seed >= pool.FIRST_SEED for cut, seed in orders if not cut)


def test_a_pool_keeps_what_its_clips_say_of_themselves(monkeypatch):
    made = pool.Pool(2, CPU, workers=0, cutouts=0.5)
    monkeypatch.setattr(pool, "cut_out", lambda seed: replace(disc_clip(seed), outlined=1, complete=False))
    list(made.wait_for(2))
    assert made.outlined.tolist() == [2, 1]
    assert made.complete.tolist() == [True, False]


def test_a_cutout_in_the_pools_layout_counts_its_pixels():
    clip = pool.cut_out(3, held_out=True, frames=2)
    assert clip.pixels.shape == (2, 256, 256, 4)
    assert not clip.complete
    assert clip.outlined <= clip.objects
    shown = [[(clip.pixels[t, ..., 3] == n + 1).sum() for t in range(2)] for n in range(clip.objects)]
    assert clip.area[: clip.objects].tolist() == shown
    assert not clip.area[clip.objects :].any()


def test_training_seeds_touch_no_split():
    from miniature.splits import SPLITS

    for split in SPLITS.values():
        assert split.seeds.stop <= pool.FIRST_SEED or split.seeds.start > pool.LAST_SEED
    with pytest.raises(InputError, match="expected 1 to 60 of split 'shifted_dev', got 61"):
        pool.split_seeds("shifted_dev", 61)


def test_the_rate_warms_up_and_falls_in_every_stage():
    begin = 0.0
    for stage in schedule.STAGES:
        rates = [schedule.rate_at(begin + (stage.end - begin) * p / 1000) for p in range(1000)]
        assert max(rates) == pytest.approx(stage.high, rel=0.01)
        assert rates[0] < 0.02 * stage.high
        assert rates[-1] == pytest.approx(stage.low, rel=0.01)
        assert schedule.stage_at(begin) is stage
        begin = stage.end
    assert schedule.stage_at(1.0) is schedule.STAGES[-1]


def test_a_clock_of_seconds_ends_on_time_from_wherever_it_starts():
    now = [100.0]
    clock = schedule.Clock(0.4, None, 60.0, lambda: now[0], 100.0)
    assert clock.progress(999) == pytest.approx(0.4)
    now[0] = 130.0
    assert clock.progress(0) == pytest.approx(0.7)
    now[0] = 170.0
    assert clock.progress(0) == 1
    assert schedule.Clock(0.0, 8, 0.0, lambda: 0.0, 0.0).progress(2) == 0.25


def advance(trainer, clips, count):
    for i in range(count):
        trainer.progress = trainer.step / 4
        trainer.advance(clips, schedule.STAGES[(i + 1) % 2])


def test_a_resumed_training_gives_the_same_weights_as_one_that_never_stopped(tmp_path, clips):
    tiny = Settings(pool=2, first=2, images=2, frames=16, chunk=6, refresh=0)

    def fresh():
        torch.manual_seed(1)
        model = build_sam2(CONFIG)
        return Trainer(model, steps.plain_parts(model), tiny)

    through = fresh()
    advance(through, clips, 2)
    through.save(tmp_path / "state.pt")
    advance(through, clips, 2)
    resumed = fresh()
    resumed.restore(tmp_path / "state.pt")
    assert (resumed.step, resumed.progress) == (2, 0.25)
    advance(resumed, clips, 2)
    for name, value in through.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_a_state_of_other_settings_or_a_damaged_one_is_refused(tmp_path):
    model = build_sam2(CONFIG)
    Trainer(model, steps.plain_parts(model), SMOKE).save(tmp_path / "state.pt")
    other = Trainer(model, steps.plain_parts(model), Settings(seed=9))
    with pytest.raises(CheckpointError, match="saved under"):
        other.restore(tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        other.restore(tmp_path / "state.pt")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frames": 15}, "at least 16 frames"),
        ({"first": 9, "pool": 3}, "first filling"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        Settings(**change)


def test_the_command_trains_writes_a_record_and_resumes(tmp_path):
    out = tmp_path / "run"
    run = CliRunner().invoke(train_sam2.app, ["--out", str(out), "--smoke", "--device", "cpu", "--steps", "2"])
    assert run.exit_code == 0, run.output
    figures = json.loads(run.stdout.strip().splitlines()[-1])
    record = json.loads((out / "sam2.json").read_text())
    assert record["steps"] == 2
    assert record["data"]["cutouts"] == 1
    assert "01_dog" in record["data"]["photographs"]
    assert record["figures"]["valid_box_j"] == figures["valid_box_j"]
    assert record["sha256"] == load_sam2(str(out / "sam2.safetensors")).sha256
    assert (out / "sam2.safetensors").stat().st_size < 16e6
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert all(math.isfinite(line["total"]) for line in lines if "total" in line)
    again = CliRunner().invoke(train_sam2.app, ["--out", str(out), "--smoke", "--device", "cpu"])
    assert isinstance(again.exception, InputError)
    assert "--resume" in str(again.exception)


def test_a_signal_ends_a_training_after_its_step_and_it_goes_on(command, tmp_path, monkeypatch):
    number, plain, out = signal.SIGTERM, Trainer.advance, tmp_path / "run"

    def advance(trainer, clips, stage):
        os.kill(os.getpid(), number)
        return plain(trainer, clips, stage)

    def finish(trainer, run, **values):
        (out / "sam2.json").write_text('{"figures": {}}')
        return [{}] * len(train_sam2.MEASURED)

    words = ("--out", out, "--smoke", "--steps", 2, "--device", "cpu")
    before = signal.getsignal(number)
    monkeypatch.setattr(train_sam2, "finish", finish)
    monkeypatch.setattr(train_sam2, "held_out_clips", lambda count: {})
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", advance)
        ended = command(*words, app=lambda: cli.run(train_sam2.app), name="train_sam2")
    assert (ended.code, signal.getsignal(number)) == (128 + number, before)
    assert f"stopped: {out}: training ended by SIGTERM; --resume goes on from step 1\n" in ended.err
    assert train_sam2.saved_clips(out / "state.pt", SMOKE) == 0
    whole = command(*words, "--resume", app=lambda: cli.run(train_sam2.app), name="train_sam2")
    assert (whole.code, torch.load(out / "state.pt", weights_only=True)["step"]) == (0, 2), whole.err


def test_a_training_ended_before_its_first_step_says_that_nothing_was_kept(command, tmp_path, monkeypatch):
    monkeypatch.setattr(train_sam2, "prepare", lambda *args, **values: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(train_sam2, "held_out_clips", lambda count: {})
    words = ("--out", tmp_path / "run", "--smoke", "--device", "cpu")
    ended = command(*words, app=lambda: cli.run(train_sam2.app), name="train_sam2")
    assert ended.code == 128 + signal.SIGTERM
    assert "ended by SIGTERM; nothing was kept, and the same command starts anew" in ended.err


def test_clips_of_a_training_that_goes_on_twice_are_counted_on(tmp_path, clips):
    """Else the third part would see the clips of the first one again."""
    model = build_sam2(CONFIG)
    made = Trainer(model, steps.plain_parts(model), replace(SMOKE, pool=2, first=2))
    made.rendered = 10
    run, clock = train_sam2.Run(tmp_path, 0.0, 1e9, {}, model), schedule.Clock(0.0, 1, 0.0, lambda: 0.0, 0.0)
    train_sam2.train(made, clips, clock, run, lambda done, total: None, Stop())
    assert made.rendered == 8 + clips.rendered


def test_a_training_goes_on_from_given_weights(tmp_path):
    made = build_sam2(CONFIG)
    path = train_sam2.write_weights(made, tmp_path)
    model, source = train_sam2.first_weights(path)
    assert source == load_sam2(str(path)).sha256
    for name, value in model.state_dict().items():
        assert torch.equal(value, made.state_dict()[name].half().float()), name
    assert train_sam2.first_weights(None)[1] is None


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path, clips):
    model = build_sam2(CONFIG)
    with torch.no_grad():
        model.no_mem_embed.fill_(float("nan"))
    trainer = Trainer(
        model, steps.plain_parts(model), Settings(pool=2, first=2, images=1, frames=16, chunk=3, refresh=0)
    )
    run = train_sam2.Run(tmp_path, 0.0, 1e9, [], model)
    clock = schedule.Clock(0.0, 4, 0.0, lambda: 0.0, 0.0)
    with pytest.raises(TrackSiftError, match="finite loss"):
        train_sam2.train(trainer, clips, clock, run, lambda done, total: None, Stop())


def test_a_dry_run_writes_nothing(tmp_path):
    run = CliRunner().invoke(train_sam2.app, ["--out", str(tmp_path / "run"), "--dry-run", "--device", "cpu"])
    assert run.exit_code == 0
    assert "would train" in run.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--resume"], "of an earlier training"),
        (["--minutes", "0"], "more than 0"),
        (["--device", "toaster"], "device"),
        (["--cutouts", "1.5"], "--cutouts: expected a share"),
        (["--rate", "0"], "--rate: expected a factor above 0"),
        (["--init", "nowhere.safetensors"], "--init: expected a .safetensors file"),
    ],
)
def test_bad_options_are_refused_before_any_work(tmp_path, options, sentence):
    run = CliRunner().invoke(train_sam2.app, ["--out", str(tmp_path / "run"), *options])
    assert isinstance(run.exception, InputError)
    assert sentence in str(run.exception)
    assert not (tmp_path / "run").exists()
