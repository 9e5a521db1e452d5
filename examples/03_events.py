"""Follow a request step by step, and cancel it when you have seen enough.

A Session keeps its models loaded: make one and use it often. `generate` returns at once; pictures are drawn while its
events are read.

    python examples/03_events.py
"""

from __future__ import annotations

from limner import Request, Session
from limner.types import Cancelled, Done, Failed, Loading, Made, Step, Warned

ENOUGH = 2  # pictures


def main() -> None:
    request = Request.of(prompt="a penguin in the snow", n=4, seed=1)
    with Session() as session:
        generation = session.generate(request)
        for event in generation:
            match event:
                case Loading(model, part):
                    print(f"reading {part} of {model}")
                case Warned(notice):
                    print(f"warning: {notice.message}")
                case Step(index, step, steps):
                    print(f"picture {index + 1}: step {step} of {steps}")
                case Made(index, image):
                    print(f"picture {index + 1} is safe: {image.path}")
                    if index + 1 == ENOUGH:
                        generation.cancel()  # takes effect at the next step; what is finished stays
                # Exactly one of these three comes last.
                case Done(images):
                    print(f"all {len(images)} pictures are done")
                case Cancelled(images):
                    print(f"cancelled; {len(images)} pictures were finished and kept")
                case Failed(error):
                    raise error


if __name__ == "__main__":
    main()
