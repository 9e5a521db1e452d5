"""What DALL-E mini's networks cost, from their configs: writing the codes of pictures, and drawing them. Torch-free."""

from __future__ import annotations

from limner.models.estimates.count import Tally
from limner.models.nets.dalle_configs import DalleConfig, Stack, VqganConfig

CACHE = 2  # keys and values


def writer(config: DalleConfig, branches: int, pictures: int) -> Tally:
    """Reading the text once a branch, then all codes of ``pictures`` pictures; ``branches`` is 2 with guidance.

    ``peak`` holds the keys and values of every layer, which are allocated whole at the start.
    """
    size, length = config.d_model, config.text_length
    tally = Tally(branches)
    for vocabulary, positions in ((config.text_vocab, length), (config.image_vocab + 1, config.image_length)):
        tally.weigh((vocabulary + positions) * size + 3 * size)  # a norm with scale and bias, a last one with a bias
    for _ in range(config.encoder.layers):
        with tally.held((4 * size + 4 * config.encoder.ffn) * length):
            _attention(tally, size, length, length)
            _gated(tally, size, config.encoder, length)
    rows = pictures * config.image_length
    # Every layer's text is remembered once, its pictures' codes as they are written: half the codes on average.
    caches = CACHE * size * (length + rows) * config.decoder.layers
    with tally.held(caches + pictures * (config.image_vocab + 1)):
        for _ in range(config.decoder.layers):
            _attention(tally, size, rows, (config.image_length + 1) // 2)
            tally.weigh(3 * size)
            tally.linear(size, size, rows, bias=False)
            tally.linear(size, 2 * size, length, bias=False)
            tally.attend(size, rows, length)
            tally.linear(size, size, rows, bias=False)
            _gated(tally, size, config.decoder, rows)
        tally.linear(size, config.image_vocab + 1, rows, bias=False)
    return tally


def drawer(config: VqganConfig, rows: int = 1) -> Tally:
    """Codes to pixels."""
    tally = Tally(rows)
    tally.weigh(config.codes * config.embed_dim)
    at = config.grid**2
    widths = [config.channels * each for each in config.multipliers]
    channels = widths[-1]
    tally.conv(config.embed_dim, config.z_channels, at, kernel=1)
    tally.conv(config.z_channels, channels, at)
    with tally.held(channels * at):
        _block(tally, channels, channels, at)
        _looking(tally, channels, at)
        _block(tally, channels, channels, at)
    for i in reversed(range(len(widths))):
        for _ in range(config.blocks + 1):
            with tally.held(channels * at):
                _block(tally, channels, widths[i], at)
                channels = widths[i]
                if config.resolution // 2**i in config.attention:
                    _looking(tally, channels, at)
        if i > 0:
            at *= 4
            with tally.held(channels * at * 9 // 4):
                tally.conv(channels, channels, at)
    with tally.held(3 * channels * at):
        tally.norm(channels, at)
        tally.conv(channels, 3, at)
    return tally


def _attention(tally: Tally, size: int, queries: int, keys: int) -> None:
    tally.weigh(3 * size)
    tally.linear(size, 3 * size, queries, bias=False)
    tally.attend(size, queries, keys)
    tally.linear(size, size, queries, bias=False)


def _gated(tally: Tally, size: int, stack: Stack, positions: int) -> None:
    tally.weigh(size + stack.ffn)
    tally.linear(size, 2 * stack.ffn, positions, bias=False)
    tally.linear(stack.ffn, size, positions, bias=False)


def _block(tally: Tally, inputs: int, outputs: int, at: int) -> None:
    with tally.held((inputs + outputs) * at):
        tally.norm(inputs, at)
        tally.conv(inputs, outputs, at)
    with tally.held(3 * outputs * at):
        tally.norm(outputs, at)
        tally.conv(outputs, outputs, at)
        if inputs != outputs:
            tally.conv(inputs, outputs, at, kernel=1)


def _looking(tally: Tally, channels: int, at: int) -> None:
    with tally.held(6 * channels * at):
        tally.norm(channels, at)
        for _ in range(4):
            tally.conv(channels, channels, at, kernel=1)
        tally.attend(channels, at, at)
