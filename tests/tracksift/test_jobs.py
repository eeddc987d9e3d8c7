"""Jobs of videos and splits: where caches lie, which part a shard takes, what is refused."""

import json
from pathlib import Path

import pytest

from core.errors import InputError
from tracksift.jobs import choose_jobs, labelled_caches, shard, split_jobs, video_job


def test_a_video_has_a_cache_file_of_its_own(tmp_path):
    job = video_job(tmp_path / "cups.mp4", tmp_path / "caches")
    assert job.video_id == "cups"
    assert job.cache == tmp_path / "caches" / "videos" / "single" / "cups.h5"
    assert job.ground_truth() is None


def test_a_folder_of_frames_is_named_after_itself(tmp_path, monkeypatch):
    (tmp_path / "frames.v2").mkdir()
    monkeypatch.chdir(tmp_path / "frames.v2")
    assert video_job(Path(), tmp_path).video_id == "frames.v2"
    assert video_job(tmp_path / "frames.v2", tmp_path).video_id == "frames.v2"


def test_a_split_has_a_job_a_video_in_the_annotations_order(world, tmp_path):
    _, jobs = split_jobs(world, "valid", tmp_path)
    assert [j.video_id for j in jobs] == ["m200041", "m200084"]
    assert [j.cache for j in jobs] == [tmp_path / "mevis" / "valid" / f"{j.video_id}.h5" for j in jobs]
    reader = jobs[0].open()
    truth = jobs[0].ground_truth()
    assert truth
    assert {len(masks) for masks in truth.values()} == {reader.meta.frames}
    assert [j.video_id for j in split_jobs(world, "valid", tmp_path, 1)[1]] == ["m200041"]
    with pytest.raises(InputError, match="--limit"):
        split_jobs(world, "valid", tmp_path, 0)


def test_shards_take_every_job_once():
    jobs = list(range(7))
    parts = [shard(jobs, f"{i}/3") for i in range(3)]
    assert sorted(job for part in parts for job in part) == jobs
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert shard(jobs, None) == jobs


@pytest.mark.parametrize("part", ["3/3", "0/0", "-1/2", "1", "a/b", "0/2 "])
def test_a_shard_that_is_none_is_refused(part):
    with pytest.raises(InputError, match="--shard"):
        shard([], part)


def test_either_a_video_or_a_dataset(tmp_path):
    for video, data in ((None, None), (tmp_path, tmp_path)):
        with pytest.raises(InputError, match="either"):
            choose_jobs(video, data, "valid", tmp_path)
    with pytest.raises(InputError, match="--fps"):
        choose_jobs(None, tmp_path, "valid", tmp_path, fps=8.0)


def test_training_needs_the_cache_of_every_video(world, caches, tmp_path):
    found = labelled_caches(world, "valid", caches)
    assert [path.stem for path, _ in found] == ["m200041", "m200084"]
    assert all(expressions for _, expressions in found)
    with pytest.raises(InputError, match=r"none of 2 of 2 videos .*m200041"):
        labelled_caches(world, "valid", tmp_path)


@pytest.mark.parametrize(
    ("folder", "dataset", "fps"), [("rvos", "ref_youtube_vos", 6.0), ("Ref-DAVIS17", "ref_davis", 24.0)]
)
def test_a_folder_in_the_layout_of_ref_youtube_vos_is_read_as_such(tmp_path, folder, dataset, fps):
    meta = tmp_path / folder / "meta_expressions" / "valid"
    meta.mkdir(parents=True)
    video = {"frames": ["00000", "00005"], "expressions": {"0": {"exp": "a dog", "obj_id": "1"}}}
    (meta / "meta_expressions.json").write_text(json.dumps({"videos": {"v1": video}}))
    reader, (job,) = split_jobs(tmp_path / folder, "valid", tmp_path / "caches")
    assert (reader.name, job.fps) == (dataset, fps)
    assert job.cache == tmp_path / "caches" / dataset / "valid" / "v1.h5"
    assert job.annotated.expressions[0].target_ids == ("1",)
    assert job.ground_truth() is None  # there are no label maps
    with pytest.raises(InputError, match="expected meta_expressions/train"):
        split_jobs(tmp_path / folder, "train", tmp_path)
