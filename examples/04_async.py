"""Two requests at once in an async program: `async for` reads the events, and the event loop stays free.

python examples/04_async.py
"""

from __future__ import annotations

import asyncio

import limner
from limner import Request, Session
from limner.types import Failed, Made


async def main() -> None:
    # "shared": the rows of different requests may share a model call. "alone" (the default) keeps them apart, so that
    # the bytes of a picture never depend on its neighbours.
    with Session(batching="shared") as session:
        ours = [draw(session, "a ghost at night", seed=5), draw(session, "a red apple on a yellow background", seed=1)]
        for picture in await asyncio.gather(*ours):
            print(f"{picture.record.prompt}: {picture.path}")


async def draw(session: Session, prompt: str, seed: int) -> limner.Image:
    """One picture. Raises what stopped it."""
    generation = session.generate(Request.of(prompt=prompt, seed=seed))
    async for event in generation:
        if isinstance(event, Made):
            print(f"{prompt}: made")
        elif isinstance(event, Failed):
            raise event.error
    return generation.images[0]


if __name__ == "__main__":
    asyncio.run(main())
