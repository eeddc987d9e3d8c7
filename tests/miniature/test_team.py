import json
import os
import socket
import subprocess
import sys
import textwrap

import torch

from miniature.sam2_training.team import Team, join

SCRIPT = textwrap.dedent("""
    import json, torch
    from miniature.sam2_training.team import join
    team, place = join(torch.device("cpu"))
    gradients = [torch.full((2, 3), float(team.rank)), torch.tensor([10.0 * team.rank])]
    team.average(gradients)
    told = team.agree(0.25 + team.rank, place)
    most = team.most(15 * team.rank, place)
    team.part()
    print(json.dumps([team.leads, told, most, [g.flatten().tolist() for g in gradients]]))
""")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_average_gradients_and_hear_one_another():
    port = str(free_port())
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    replies = [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in ranks]
    assert [leads for leads, *_ in replies] == [True, False]
    for _, told, most, gradients in replies:
        assert (told, most) == (0.25, 15)
        assert gradients == [[0.5] * 6, [5.0]]


def test_without_a_launcher_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team, place = join(torch.device("cpu"))
    assert (team, place) == (Team(0, 1), torch.device("cpu"))
    gradient = torch.ones(2)
    team.average([gradient])
    assert gradient.tolist() == [1, 1]
    assert (team.agree(0.5, place), team.most(15, place)) == (0.5, 15)
