"""Several processes that train one model: each on scenes of its own, moved by the mean of all gradients.

On a CPU without other work two processes of a thread each do a quarter more than one of two threads, which wait for one
another at every small operation; beside other work much more (threads that spin are slow there, others asleep).
"""

import tempfile
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start(n: int, work: Callable[[int], None]) -> None:
    """Run ``work(rank)`` in ``n`` processes that know one another, or here when it is one. ``work`` must be picklable.

    Raises ``torch.multiprocessing.ProcessRaisedException``, with the text of what the first to fail raised.
    """
    if n == 1:
        work(0)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_join, (n, f"file://{folder}/meeting", work), n)


def _join(rank: int, n: int, meeting: str, work: Callable[[int], None]) -> None:
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=n)
    try:
        work(rank)
    finally:
        dist.destroy_process_group()


def together() -> bool:
    """Whether there are others."""
    return dist.is_available() and dist.is_initialized()


def agreed(*said: float) -> tuple[float, ...]:
    """What the first process says: all must decide alike when to stop, and at which rate to move."""
    if not together():
        return said
    heard = torch.tensor(said, dtype=torch.float64)
    dist.broadcast(heard, 0)
    return tuple(heard.tolist())


def same(params: Sequence[Tensor]) -> None:
    """Give all the first one's values."""
    if together():
        for param in params:
            dist.broadcast(param.data, 0)


def mean_gradients(params: Sequence[nn.Parameter]) -> None:
    """Put the mean over all processes in place of each gradient. All must have gradients of the same parameters."""
    if not together():
        return
    grads = [p.grad for p in params if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for grad, mean in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        grad.copy_(mean.view_as(grad))
