"""Masks, boxes and expressions in the benchmarks' formats: what our readers read is what was drawn."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.elysium_track.reader import open_elysium_track
from benchmarks.got10k.reader import open_got10k
from benchmarks.lasot.reader import open_lasot
from benchmarks.mevis.reader import open_mevis
from benchmarks.otb.reader import open_otb
from benchmarks.ref_davis.raw import open_raw_ref_davis
from benchmarks.ref_davis.reader import by_annotator, open_ref_davis
from benchmarks.ref_youtube_vos.reader import open_ref_youtube_vos
from core import rle
from core.errors import InputError, OutputError
from core.image_folders import FolderReader
from miniature import world
from miniature.formats import catalogue
from miniature.formats.dataset import Wanted, expected_megabytes, make_footage, write_formats
from miniature.formats.footage import SEEN, SIZE, longest_run
from miniature.world import make_clip

SEEDS = (200_002, 200_003)
OBJECTS = tuple(n for n, f in catalogue.FORMATS.items() if f.media is catalogue.Media.FRAMES)


def short_clip(seed, *, shifted, expressions):
    return make_clip(seed, shifted=shifted, frames=10, expressions=expressions)


@pytest.fixture(scope="module", params=["long", "short"])
def split(request, tmp_path_factory):
    """A split of two tiny videos of either world in all formats of masks and boxes, and their footage."""
    wanted = Wanted(OBJECTS, long=request.param == "long", seconds=20 if request.param == "long" else None)
    folder = tmp_path_factory.mktemp("world") / "valid"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "make_clip", short_clip)
        write_formats(folder, "valid", SEEDS, wanted)
        return folder, [make_footage(seed, wanted) for seed in SEEDS]


def decoded(masks):
    return {i: rle.decode(m, SIZE) for i, m in masks.items()}


def test_mevis_has_masks_in_valid_u_and_hides_them_in_valid(split):
    folder, footage = split
    reader, hidden = open_mevis(folder / "mevis", "valid_u"), open_mevis(folder / "mevis", "valid")
    first = 0
    for video, unseen, drawn in zip(reader.videos(), hidden.videos(), footage, strict=True):
        assert video.fps == drawn.fps
        assert [(e.text, e.kind, e.spans) for e in video.expressions] == [
            (e.text, e.kind, e.spans) for e in drawn.expressions
        ]
        ids = [o.id for o in drawn.objects]
        for read, said in zip(video.expressions, drawn.expressions, strict=True):
            assert read.target_ids == tuple(str(first + ids.index(i)) for i in said.target_ids)
        for anno_id, masks in decoded(reader.masks(video)).items():
            assert np.array_equal(masks, drawn.mask(int(anno_id) - first))
        assert all(e.target_ids is None and e.kind == "" for e in unseen.expressions)
        first += len(ids)
    assert reader.has_masks
    assert not hidden.has_masks


def test_ref_youtube_vos_names_one_object_an_expression_and_hides_valid(split):
    folder, footage = split
    reader = open_ref_youtube_vos(folder / "ref_youtube_vos", "train")
    for video, drawn in zip(reader.videos(), footage, strict=True):
        single = [e for e in drawn.expressions if len(e.target_ids) == 1]
        ids = [o.id for o in drawn.objects]
        assert [e.text for e in video.expressions] == [e.text for e in single]
        assert [e.target_ids for e in video.expressions] == [(str(ids.index(e.target_ids[0]) + 1),) for e in single]
        assert np.array_equal(reader.labels(video), drawn.labels)
    hidden = open_ref_youtube_vos(folder / "ref_youtube_vos", "valid")
    assert not hidden.has_masks
    assert [v.id for v in hidden.videos()] == [d.id for d in footage]
    assert hidden.mask_size(next(hidden.videos())) == SIZE


def test_ref_davis_has_four_expressions_of_each_object_of_the_first_frame(split):
    folder, footage = split
    reader, raw = open_ref_davis(folder / "ref_davis"), open_raw_ref_davis(folder / "ref_davis")
    for video, video_raw, drawn in zip(reader.videos(), raw.videos(), footage, strict=True):
        kept = [i for i in range(len(drawn.objects)) if (drawn.labels[0] == i + 1).sum() >= SEEN]
        annotators = by_annotator(video)
        assert len(annotators) == 4
        assert by_annotator(video_raw) == annotators
        labels = reader.labels(video)
        assert np.array_equal(raw.labels(video_raw), labels)
        for number, i in enumerate(kept, start=1):
            assert np.array_equal(labels == number, drawn.mask(i))
            told = drawn.descriptions[i]
            wanted = [told.looks[0], told.texts[0], told.looks[1], told.texts[1]]
            assert [a[str(number)].text for a in annotators] == wanted


def targets(reader, footage):
    """(video, truth, footage, index of the object) of every sequence, by its number."""
    for video in reader.videos():
        number, object_id = divmod(int(video.id.replace("_", "-").rsplit("-", 1)[1]), 100)
        drawn = next(f for f in footage if f.number == number)
        yield video, reader.truth(video), drawn, [o.id for o in drawn.objects].index(str(object_id))


def test_lasot_sequences_begin_where_their_target_is_seen_and_flag_absence(split):
    folder, footage = split
    reader = open_lasot(folder / "lasot", "test")
    found = 0
    for video, truth, drawn, i in targets(reader, footage):
        first = int(np.argmax(drawn.visible(i) >= SEEN))
        corners = drawn.corners(i)[first:]
        assert truth.absent.tolist() == (drawn.visible(i)[first:] == 0).tolist()
        assert not truth.absent[0]
        assert np.array_equal(truth.corners()[~truth.absent], corners[~truth.absent])
        assert video.expressions[0].text == drawn.descriptions[i].texts[0]
        assert len(video.frame_names) == len(corners)
        found += 1
    assert found >= len(footage)


def test_got10k_sequences_say_how_much_is_visible(split):
    folder, footage = split
    reader = open_got10k(folder / "got10k", "val")
    for video, truth, drawn, i in targets(reader, footage):
        at = np.flatnonzero(drawn.visible(i) >= SEEN)
        part = slice(at[0], at[-1] + 1)
        corners, seen = drawn.corners(i)[part], drawn.visible(i)[part]
        assert truth.size == (SIZE[1], SIZE[0])
        assert np.array_equal(truth.corners()[seen > 0], corners[seen > 0])
        assert ((truth.cover > 0) == (seen > 0)).all()
        assert (truth.cover[(seen > 0) & (seen == drawn.whole[i, part])] == 8).all()
        assert len(video.frame_names) == len(corners)


def test_otb_has_the_targets_that_are_always_seen(split):
    folder, footage = split
    if not any((folder / "otb").iterdir()):
        assert not any((f.visible(i) > 0).all() for f in footage for i in range(len(f.objects)))
        return
    reader = open_otb(folder / "otb")
    for video in reader.videos():
        name, _, number = video.id.partition(".")
        drawn = next(f for f in footage if f.id == name)
        always = [i for i in range(len(drawn.objects)) if (drawn.visible(i) > 0).all()]
        assert np.array_equal(reader.truth(video).corners(), drawn.corners(always[int(number or 1) - 1]))
        assert len(video.frame_names) == len(drawn.frames)


def test_elysium_lines_are_the_longest_sights_of_every_object(split):
    folder, footage = split
    reader = open_elysium_track(folder / "elysium_track" / "RSOT.jsonl")
    lines = 0
    for video in reader.videos():
        name, _, object_id = video.id.rpartition("_")
        drawn = next(f for f in footage if f.id == name)
        i = [o.id for o in drawn.objects].index(object_id)
        run = longest_run(drawn.visible(i) >= SEEN)
        assert np.abs(reader.truth(video).corners() - drawn.corners(i)[run]).max() < 1e-9
        assert video.expressions[0].text == drawn.descriptions[i].texts[0]
        assert video.frame_names == tuple(f"{t:05d}.jpg" for t in range(run.start, run.stop))
        assert (video.frames_path / video.frame_names[-1]).is_file()
        lines += 1
    assert lines >= len(footage)


def test_frames_are_those_drawn_and_exist_once(split):
    folder, footage = split
    drawn = footage[0]
    shared = folder / "frames" / drawn.id
    read = FolderReader(shared, drawn.id, drawn.fps)
    assert read.meta.frames == len(drawn.frames)
    assert np.abs(read.read([3])[0].astype(int) - drawn.frames[3]).mean() < 3
    for name in ("mevis/valid_u", "mevis/valid", "ref_youtube_vos/train", "ref_davis/valid"):
        assert (folder / name / "JPEGImages" / drawn.id / "00003.jpg").samefile(shared / "00003.jpg")


def test_label_maps_have_the_palette_of_pascal(split):
    folder, footage = split
    with Image.open(folder / "ref_youtube_vos" / "train" / "Annotations" / footage[0].id / "00000.png") as image:
        assert image.getpalette()[: 3 * 4] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def test_the_note_says_what_is_here(split):
    folder, footage = split
    note = json.loads((folder / "world.json").read_text())
    assert note["seeds"] == list(SEEDS)
    assert note["formats"] == list(OBJECTS)
    assert note["long"] == (footage[0].story is not None)


def test_boxes_are_tight_around_visible_pixels(split):
    for drawn in split[1]:
        for i in range(len(drawn.objects)):
            boxes = rle.boxes(rle.encode(drawn.mask(i)), SIZE)
            assert np.array_equal(np.nan_to_num(boxes), drawn.corners(i))


def test_training_splits_hide_nothing_and_hold_nothing_out(tmp_path):
    write_formats(tmp_path / "train", "train", [7], Wanted(OBJECTS, long=True, seconds=12))
    folder = tmp_path / "train"
    assert open_mevis(folder / "mevis", "train").has_masks
    assert open_ref_youtube_vos(folder / "ref_youtube_vos", "train").has_masks
    assert not (folder / "ref_youtube_vos" / "meta_expressions" / "valid").exists()
    assert open_ref_davis(folder / "ref_davis", "train").has_masks
    assert len(open_lasot(folder / "lasot", "train")) > 0
    assert len(open_got10k(folder / "got10k", "train")) > 0
    assert len(open_elysium_track(folder / "elysium_track" / "ElysiumTrack-1M.jsonl")) > 0


def test_two_workers_write_the_same_files(tmp_path):
    wanted = Wanted(("lasot", "mevis"), long=True, seconds=8)
    for name, workers in (("one", 1), ("two", 2)):
        write_formats(tmp_path / name, "valid", [1, 2], wanted, workers=workers)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "two") for p in (tmp_path / "two").rglob("*") if p.is_file())
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


@pytest.mark.parametrize(
    ("seeds", "formats", "workers"), [((), ("mevis",), 1), ((1,), (), 1), ((1,), ("mevis",), 0)], ids=str
)
def test_nothing_to_do_is_refused(tmp_path, seeds, formats, workers):
    with pytest.raises(InputError, match="at least one seed, one format and one worker"):
        write_formats(tmp_path / "a", "valid", seeds, Wanted(formats, long=True), workers=workers)


def test_only_a_world_is_replaced_and_only_when_asked(tmp_path):
    wanted = Wanted(("elysium_track",), long=True, seconds=8)
    write_formats(tmp_path / "a", "valid", [1], wanted)
    with pytest.raises(OutputError, match="expected an empty or new folder"):
        write_formats(tmp_path / "a", "valid", [2], wanted)
    write_formats(tmp_path / "a", "valid", [2], wanted, overwrite=True)
    assert [p.name for p in (tmp_path / "a" / "frames").iterdir()] == ["ml000002"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="expected a rendered split to replace"):
        write_formats(tmp_path / "thesis", "valid", [1], wanted, overwrite=True)


def test_an_interrupted_split_leaves_nothing(tmp_path):
    def stop(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_formats(tmp_path / "a", "valid", [1], Wanted(("otb",), long=True, seconds=8), on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_sizes_grow_with_the_media():
    frames, both = Wanted(("mevis",), long=True), Wanted(("mevis", "magqa"), long=True)
    assert 0 < expected_megabytes(10, frames) < expected_megabytes(10, both)
    assert expected_megabytes(10, Wanted(("mevis",))) < expected_megabytes(10, frames)
