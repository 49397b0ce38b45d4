"""Draw the pictures of docs/ by the code of `map --svg` and `plan --svg`: `make pictures` (needs Graphviz).

They are drawn from docs/example-*.json, but for plan-before.svg: the plan that the first version made for
example-fleet.json.
"""

from __future__ import annotations

from pathlib import Path

from git_annex_syncx.content.planning import Wanted, map_file, plan_map
from git_annex_syncx.network.drawing import Drawing, network_drawing, plan_drawing
from git_annex_syncx.network.plan import Plan, Question, Step
from git_annex_syncx.system import files, graphviz
from git_annex_syncx.views.svg import finished

DOCS = Path(__file__).parent
BEFORE = "laptop tablet, tablet desktop, tablet nas, desktop server, server mac, mac pc, mac build"


def main() -> None:
    """Write all of them."""
    for name, drawing in drawings().items():
        files.write_named(DOCS / name, finished(graphviz.render(drawing.dot, "svg"), drawing).encode())


def drawings() -> dict[str, Drawing]:
    """Return file name -> drawing."""
    example, fleet = map_file(str(DOCS / "example-network.json")), map_file(str(DOCS / "example-fleet.json"))
    uuids = {place.name: place.uuid for place in fleet.places}
    pairs = [tuple(uuids[name] for name in pair.split()) for pair in BEFORE.split(", ")]
    targets = frozenset(target for _, target in pairs)
    chain = tuple(Step(one, other, (one,), 200.0 if n == 3 else 100.0, False) for n, (one, other) in enumerate(pairs))
    before = Plan(Question(frozenset(uuids.values()) - targets, targets), chain, (), 800.0, 800.0, True, 1400.0)
    return {
        "network.svg": network_drawing(example),
        "plan.svg": plan_drawing(example, plan_map(example, Wanted()).plans),
        "plan-before.svg": plan_drawing(fleet, [before]),
        "plan-after.svg": plan_drawing(fleet, plan_map(fleet, Wanted()).plans),
    }


if __name__ == "__main__":
    main()
