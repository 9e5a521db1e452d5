"""Draw a picture again from its file, and see whether it comes out the same.

Every file Limner writes carries its Record: the request, the seed, hashes of the weights, versions. `replay` follows it
and says how near it came, and why not nearer.

    python examples/07_replay.py            # draws a picture first
    python examples/07_replay.py fox.png    # a picture of yours
"""

from __future__ import annotations

import sys
from pathlib import Path

from limner import Session


def main(path: Path | None = None) -> None:
    with Session() as session:
        if path is None:
            path = session.draw("a whale in the ocean", seed=1).save("whale.png")
        record, _ = session.record_of(path)
        print(f"{path}: {record.prompt!r}, seed {record.seed.text()}, {record.recipe.solver}, {record.model.name}")

        found = session.replay(path)
        print(found.verdict)  # identical, near or different
        for reason in found.reasons:  # what is not as it was then: versions, device, threads ...
            print(f"  {reason}")

        # The same picture with one thing changed: what did it do?
        other = session.draw(record.prompt, seed=record.seed.seed, guidance=1.0)
        print(f"without guidance: {other.save('whale-without-guidance.png')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
