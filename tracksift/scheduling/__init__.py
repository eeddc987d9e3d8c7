"""Many videos, many workers: one schedule over lanes that are this process, other processes, or Ray actors.

A lane is one worker that has loaded its models once. `schedule` hands out jobs, takes back those of workers that are
gone, and gives up lanes where memory is short; `lanes` and `ray_lanes` are where workers live; `worker` is what they
do; `record` and `quarantine` are the files that say how a job stands and which videos failed, and why.
Knows generation. Does not know command lines.
"""

from tracksift.scheduling.run import Ended, RayChoice, run_jobs

__all__ = ["Ended", "RayChoice", "run_jobs"]
