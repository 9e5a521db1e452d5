"""DALL-E mini and mega at their published sizes, with random weights: seconds a request, and what bounds them.

    python -m benchmarks.dalle_mini --model mini --images 1 9 --dtypes float32 bfloat16 --threads 2
    python -m benchmarks.dalle_mini --theirs PATH_TO_A_CLONE_OF_MIN_DALLE

Writing a token reads every weight of the decoder once, so the floor is bytes over the speed at which memory can be
read, which is measured here as the sum of a large array. ``--theirs`` times min-dalle's own decoder and VQGAN in the
same process, on random weights of the same shapes. Times are wall times; processor times, which other programs on the
machine disturb less, stand behind them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from limner.models.dalle.load import DTYPES
from limner.models.nets.bart import Bart
from limner.models.nets.dalle_configs import DalleConfig, Stack, VqganConfig
from limner.models.nets.packing import can_pack, pack
from limner.models.nets.vqgan import Vqgan
from limner.sampling.guidance import combine
from limner.sampling.tokens import choose

CONFIGS = {
    "mini": DalleConfig(1024, Stack(12, 16, 2730), Stack(12, 16, 2730), 50264, 64, 16384, 256, 16384, True),
    "mega": DalleConfig(2048, Stack(24, 32, 4096), Stack(24, 32, 4096), 50272, 64, 16415, 256, 16384, True),
}
VQGAN = VqganConfig.from_json({})


def stream_bandwidth(megabytes: int = 512) -> float:
    """Bytes a second at which memory is read: the best of five sums."""
    data = torch.ones(megabytes << 18)
    return data.numel() * 4 / min(_timed(data.sum) for _ in range(5))


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def random_module(make: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    with torch.device("meta"):
        module = make()
    module = module.to_empty(device="cpu").to(dtype)
    for name, tensor in module.state_dict().items():
        tensor.fill_(1.0) if "norm" in name and name.endswith("weight") else tensor.normal_(0, 0.02)
    module.eval().requires_grad_(False)
    if can_pack(dtype, "cpu"):
        pack(module, matrices=True)
    return module


def weights_read(config: DalleConfig) -> int:
    """Values that writing one token reads."""
    size, ffn = config.d_model, config.decoder.ffn
    return config.decoder.layers * (6 * size * size + 3 * size * ffn) + size * (config.image_vocab + 1)


def write(bart: Bart, images: int, count: int) -> Tensor:
    """``count`` codes [images, count] of random text, with guidance, as the family does it."""
    ids = torch.randint(5, 1000, (2, bart.config.text_length))
    mask = torch.zeros_like(ids)
    mask[0, :2], mask[1, :16] = 1, 1
    slots = bart.slots(bart.remember(bart.encode(ids, mask), mask), images)
    uniform = torch.rand(count, images)
    last = torch.full((images, 1), bart.config.start_token)
    written = []
    for i in range(count):
        parts = bart.decode(last.repeat(2, 1), slots)[:, 0, : VQGAN.codes].chunk(2)
        last = choose(combine(parts[0], parts[1], 10.0), uniform[i], 1.0, 50, 1.0)[:, None]
        written.append(last)
    return torch.cat(written, dim=1)


def ours(model: str, dtype: torch.dtype, images: Sequence[int], bandwidth: float) -> None:
    config = CONFIGS[model]
    before = _resident()
    bart = random_module(lambda: Bart(config), dtype)
    vqgan = random_module(lambda: Vqgan(VQGAN), dtype)
    assert isinstance(bart, Bart)
    assert isinstance(vqgan, Vqgan)
    write(bart, 1, 2)
    for n in images:
        began, worked = time.perf_counter(), time.process_time()
        codes = write(bart, n, config.image_length)
        written, worked = time.perf_counter() - began, time.process_time() - worked
        decoded = sum(_timed(lambda each=each: vqgan.decode(each[None])) for each in codes)  # type: ignore[misc]
        size = torch.empty(0, dtype=dtype).element_size()
        share = weights_read(config) * size * config.image_length / bandwidth / written
        print(
            f"limner     {model} {_short(dtype):>8} n={n}: {written + decoded:7.2f} s, "
            f"{(written + decoded) / n:.2f} s an image "
            f"(tokens {written:.2f}, of the processor {worked:.2f}, pixels {decoded:.2f}); "
            f"weights alone at stream speed: {share:.0%} of token time",
            flush=True,
        )
    print(f"           resident {(_resident() - before) / 1e9:.2f} GB more than before loading", flush=True)


def theirs(clone: Path, model: str, dtype: torch.dtype, images: Sequence[int], tokens: int) -> None:
    """min-dalle as shipped; ``tokens`` of its 256 are timed and the rest is reckoned: each costs the same there."""
    sys.path.insert(0, str(clone))
    from min_dalle.models import (
        DalleBartDecoder,
        DalleBartEncoder,
        VQGanDetokenizer,
    )

    config = CONFIGS[model]
    sizes = {
        "embed_count": config.d_model,
        "attention_head_count": config.decoder.heads,
        "glu_embed_count": config.decoder.ffn,
        "layer_count": config.decoder.layers,
        "device": "cpu",
    }
    encoder = DalleBartEncoder(text_vocab_count=config.text_vocab, text_token_count=64, **sizes).to(dtype).eval()
    decoder = DalleBartDecoder(image_vocab_count=config.image_vocab, **sizes).to(dtype).eval()
    detoker = VQGanDetokenizer().eval()
    for n in images:
        ids = torch.ones((2, 64), dtype=torch.long)
        ids[0, :2], ids[1, :16] = 5, 6
        began = time.perf_counter()
        state = encoder(ids)[[0] * n + [1] * n]
        text = ids[[0] * n + [1] * n]
        read = time.perf_counter() - began
        mask = text.not_equal(1)[:, None, None, :]
        cache = torch.zeros((config.decoder.layers, n * 4, 256, config.d_model), dtype=dtype)
        settings = torch.tensor([1.0, 256, 16.0])
        last = torch.full((n, 1), config.start_token)
        began, worked = time.perf_counter(), time.process_time()
        for i in range(tokens):
            last, cache = decoder.sample_tokens(
                settings=settings, attention_mask=mask, encoder_state=state, attention_state=cache,
                prev_tokens=last, token_index=torch.tensor([i]),
            )  # fmt: skip
            last = last[:, None]
        written, worked = (
            (now - then) / tokens * 256 for now, then in ((time.perf_counter(), began), (time.process_time(), worked))
        )
        codes = torch.randint(0, 16384, (n, 256))
        decoded = sum(_timed(lambda each=each: detoker(False, each[None])) for each in codes)  # type: ignore[misc]
        total = read + written + decoded
        print(
            f"min-dalle  {model} {_short(dtype):>8} n={n}: {total:7.2f} s (tokens {written:.2f}, "
            f"of the processor {worked:.2f}, pixels {decoded:.2f}; "
            f"{tokens} of 256 tokens timed)",
            flush=True,
        )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _resident() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, default="mini")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 9])
    parser.add_argument("--dtypes", choices=DTYPES, nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--theirs", type=Path, help="a clone of min-dalle, to be timed beside")
    parser.add_argument("--tokens", type=int, default=64, help="of 256 that are timed of min-dalle")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        bandwidth = stream_bandwidth()
        print(f"{options.threads} threads; memory is read at {bandwidth / 1e9:.1f} GB/s", flush=True)
        for dtype in options.dtypes:
            ours(options.model, DTYPES[dtype], options.images, bandwidth)
        if options.theirs:
            theirs(options.theirs, options.model, torch.float32, options.images, options.tokens)


if __name__ == "__main__":
    main()
