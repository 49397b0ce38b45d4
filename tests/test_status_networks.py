"""Status says of every repository of a network what git-annex itself says."""

from __future__ import annotations

import os

import pytest
from network import THOROUGH, Network
from status_networks import World, answer, build

NETWORKS = int(os.environ.get("SYNCX_NETWORKS", 3 * THOROUGH))  # how many


def judge(world: World) -> None:
    """Compare what is counted with git-annex's answers."""
    told = world.node.syncx("status", *world.alive).events
    files: dict[tuple[str, str], set[str]] = {}
    for one in told:
        if one["event"] == "status-file":
            files.setdefault((one["uuid"], "unwanted" if one["state"] == "unwanted" else "lacks"), set()).add(
                one["key"]
            )
    assert {one["uuid"] for one in told if one["event"] == "repository"} == set(world.alive)
    for one in (one for one in told if one["event"] == "repository"):
        uuid, content = one["uuid"], one["content"]
        has = answer(world, f"--in={uuid}")
        lacks, unwanted = world.files.keys() - has, set[str]()
        if uuid in world.choosy:
            # Not both conditions at once: then git-annex passes over files with a newline in their names.
            lacks = answer(world, f"--want-get-by={uuid}") - has
            unwanted = answer(world, f"--want-drop-by={uuid}", every_name=True) & has
        assert content["has"] == len(has), one
        assert files.get((uuid, "lacks"), set()) == lacks, one
        assert files.get((uuid, "unwanted"), set()) == unwanted, one
        assert (content["lacks"], content["unwanted"]) == (len(lacks), len(unwanted)), one
        assert content["wants"] == len(has) - len(unwanted) + len(lacks)
        coming = sum(content["brought_by"].values())
        assert coming + content["no_way"] + content["no_room"] + content["later"] == content["lacks"], one
        assert content["later"] >= 0 and content["lost"] <= content["no_way"]
    short = told[-1]["below_numcopies"]
    assert short["files"] == len(answer(world, "--lackingcopies=1"))


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_a_network(seed: int, net: Network) -> None:
    judge(build(net, seed))
