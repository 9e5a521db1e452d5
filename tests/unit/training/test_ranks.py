"""Several processes train one model as one process with all of their scenes does."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training import ranks, run
from training.loop import Options, Trainer, fit

STEPS, BATCH = 3, 4


def examples(rank: int, step: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets that a process sees."""
    drawn = torch.Generator().manual_seed(10 * rank + step)
    return torch.randn(BATCH, 5, generator=drawn), torch.randn(BATCH, 3, generator=drawn)


def taught(rank: int, out: Path, of: int, seen: tuple[int, ...]) -> None:
    """Train a linear map in ``out`` as process ``rank`` of ``of``, on the examples of ``seen``."""
    torch.manual_seed(rank)  # as different as processes can begin
    model = nn.Linear(5, 3)
    how = Options(out, samples=STEPS * BATCH * of, batch=BATCH, rank=rank, ranks=of, clip=0.01, resume=False)
    trainer = Trainer({"model": model}, how)

    def loss(_: int, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        given, wanted = (torch.cat(parts) for parts in zip(*(examples(s, step) for s in seen), strict=True))
        return (model(given) - wanted).square().mean(), {}

    fit(trainer, iter(range(99)), loss, lambda: {}, lambda: (out / f"ended{rank}").touch())
    assert trainer.seen == STEPS * BATCH * of


def of_rank(out: Path, rank: int) -> None:
    """What one of two processes does."""
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.full((2,), rank + 1.0)
    ranks.mean_gradients([weight])
    assert weight.grad.tolist() == [1.5, 1.5]
    taught(rank, out, 2, (rank,))


def test_two_processes_move_as_one_that_sees_what_both_see(tmp_path: Path) -> None:
    ranks.start(2, partial(of_rank, tmp_path / "two"))
    torch.manual_seed(0)
    taught(0, tmp_path / "one", 1, (0, 1))
    two, one = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("two", "one"))
    for name, value in one["modules"]["model"].items():
        assert torch.allclose(value, two["modules"]["model"][name], atol=1e-6), name
    assert two["step"] == one["step"] == STEPS
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "ended0", "ended1", "log.jsonl", "state.pt",
    ]  # fmt: skip
    assert len((tmp_path / "two" / "log.jsonl").read_text().splitlines()) == 1


def fails(rank: int) -> None:
    """A process that cannot go on."""
    raise OSError(f"disk {rank}")


def test_one_that_fails_ends_all() -> None:
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="disk"):
        ranks.start(2, fails)


@pytest.mark.parametrize(
    ("asked", "why"),
    [("clip --processes 2", "for the dalle stage"), ("dalle --processes 0", "leave it out"),
     ("dalle --processes 2 --device cuda", "busy by one")],
)  # fmt: skip
def test_numbers_of_processes_that_cannot_be(asked: str, why: str) -> None:
    with pytest.raises(SystemExit, match=why):
        run.main(["--stage", *asked.split()])


def test_muon_turns_the_matrices_it_is_given_and_no_others() -> None:
    torch.manual_seed(0)
    turned, other = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
    trainer = Trainer({"a": turned, "b": other}, Options(Path(), rate=1e-2, decay=0.0, warmup=1), [turned.weight])
    before = [each.weight.detach().clone() for each in (turned, other)]
    left, right = (torch.linalg.qr(torch.randn(16, 16))[0] for _ in range(2))
    steep = left @ torch.linspace(0.01, 1, 16).diag() @ right  # a hundred times larger one way than another
    trainer.update((steep * turned.weight).sum() + (steep * other.weight).sum())
    moves = [each.weight.detach() - was for each, was in zip((turned, other), before, strict=True)]
    muon, adam = (torch.linalg.svdvals(move) for move in moves)
    assert muon.min() > 0.4 * muon.max()  # Muon moves all ways about as far
    assert adam.min() < 0.2 * adam.max()
    assert (moves[1].abs() - 1e-2).abs().max() < 1e-4  # AdamW's first step is the rate, entry by entry


def test_a_run_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    taught(0, tmp_path, 1, (0,))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    model, how = nn.Linear(5, 3), Options(tmp_path, batch=BATCH)
    with pytest.raises(ValueError, match="2 in 1: go on as it was begun"):
        Trainer({"model": model}, how, [model.weight])
    with pytest.raises(ValueError, match="1 in 2: go on"):
        Trainer({"model": model}, replace(how, ranks=2))
    state["optimizer"] = state.pop("optimizers")[0]  # as it was kept before there were several
    torch.save(state, tmp_path / "state.pt")
    assert Trainer({"model": model}, how).step == STEPS
