"""What one call of Stable Diffusion's networks costs, from their published configs: UNet, autoencoder, CLIP.

Torch-free. Each function walks its network as :mod:`limner.models.nets` runs it, so the counts are those of the
modules: tests compare parameters exactly, and operations with torch's own counter.
"""

from __future__ import annotations

from collections.abc import Mapping

from limner.models.estimates.count import Tally
from limner.models.nets.configs import AutoencoderConfig, ClipTextConfig, UNetConfig


def unet(config: Mapping[str, object], height: int, width: int, tokens: int, rows: int = 1) -> Tally:
    """A denoising call on latents of ``height`` x ``width`` with ``tokens`` text states. Raises as the config's reader
    does."""
    net, tally = UNetConfig.from_json(config), Tally(rows)
    hidden, first = net.time_embedding_dim, net.block_out_channels[0]
    _embedding(tally, first, hidden)
    if net.time_cond_proj_dim is not None:
        tally.linear(net.time_cond_proj_dim, first, 1, bias=False)
    if net.addition_embed_type:
        _embedding(tally, net.projection_class_embeddings_input_dim, hidden)
    size = _Size(height, width)
    tally.conv(net.in_channels, first, size.positions)
    skips = [(first, size)]
    tally.take(first * size.positions)
    channels = first
    last = len(net.block_out_channels) - 1
    for level, outputs in enumerate(net.block_out_channels):
        crossed = net.down_block_types[level].startswith("CrossAttn")
        for _ in range(net.layers_per_block[level]):
            _resnet(tally, channels, outputs, size, hidden)
            if crossed:
                _transformer(tally, net, level, size, tokens)
            channels = outputs
            skips.append((channels, size))
            tally.take(channels * size.positions)
        if level < last:
            size = size.halved()
            tally.conv(channels, channels, size.positions)
            skips.append((channels, size))
            tally.take(channels * size.positions)
    with tally.held(channels * size.positions):
        _resnet(tally, channels, channels, size, hidden)
        _transformer(tally, net, last, size, tokens)
        _resnet(tally, channels, channels, size, hidden)
    for level, block in zip(reversed(range(last + 1)), net.up_block_types, strict=True):
        outputs = net.block_out_channels[level]
        for _ in range(net.layers_per_block[level] + 1):
            beside, _ = skips.pop()
            joined = channels + beside
            with tally.held((channels + joined) * size.positions):
                tally.passing(joined * size.positions)
                tally.drop(beside * size.positions)
                _resnet(tally, joined, outputs, size, hidden)
                if block.startswith("CrossAttn"):
                    _transformer(tally, net, level, size, tokens)
            channels = outputs
        if level > 0:
            size = skips[-1][1]
            _enlarge(tally, channels, size)
    _out(tally, channels, net.out_channels, size)
    return tally


def decoder(config: Mapping[str, object], height: int, width: int, rows: int = 1) -> Tally:
    """Latents of ``height`` x ``width`` to pixels. ``parameters`` are of both halves: both are loaded."""
    net, tally = AutoencoderConfig.from_json(config), Tally(rows)
    whole = _autoencoder(net)
    size, widths = _Size(height, width), net.block_out_channels[::-1]
    if net.use_post_quant_conv:
        tally.conv(net.latent_channels, net.latent_channels, size.positions, kernel=1)
    tally.conv(net.latent_channels, widths[0], size.positions)
    _middle(tally, net, widths[0], size)
    channels = widths[0]
    for level, outputs in enumerate(widths):
        for _ in range(net.layers_per_block + 1):
            with tally.held(channels * size.positions):
                _resnet(tally, channels, outputs, size)
            channels = outputs
        if level < len(widths) - 1:
            size = size.doubled()
            _enlarge(tally, channels, size)
    _out(tally, channels, net.out_channels, size)
    tally.parameters = whole
    return tally


def encoder(config: Mapping[str, object], height: int, width: int, rows: int = 1) -> Tally:
    """Pixels of ``height`` x ``width`` to latents; ``parameters`` as in ``decoder``."""
    net, tally = AutoencoderConfig.from_json(config), Tally(rows)
    whole = _autoencoder(net)
    _encode(tally, net, _Size(height, width))
    tally.parameters = whole
    return tally


def clip_text(config: Mapping[str, object], tokens: int, rows: int = 1) -> Tally:
    """Text states of ``tokens`` tokens; with the projection of the pooled text where the config has one."""
    net, tally = ClipTextConfig.from_json(config), Tally(rows)
    hidden, inner = net.hidden_size, net.intermediate_size
    tally.weigh((net.vocab_size + net.max_position_embeddings) * hidden)
    for _ in range(net.num_hidden_layers):
        with tally.held((5 * hidden + inner) * tokens):
            for _ in range(2):
                tally.norm(hidden, tokens)
            for _ in range(4):
                tally.linear(hidden, hidden, tokens)
            tally.attend(hidden, tokens, tokens)
            tally.linear(hidden, inner, tokens)
            tally.linear(inner, hidden, tokens)
    tally.norm(hidden, tokens)
    if net.projection_dim is not None:
        tally.linear(hidden, net.projection_dim, 1, bias=False)
    return tally


def _autoencoder(net: AutoencoderConfig) -> int:
    """Parameters of both halves."""
    tally, size = Tally(), _Size(net.downsample_factor, net.downsample_factor)
    _encode(tally, net, size)
    widths = net.block_out_channels[::-1]
    latent = net.latent_channels
    if net.use_post_quant_conv:
        tally.conv(latent, latent, 1, kernel=1)
    tally.conv(latent, widths[0], 1)
    _middle(tally, net, widths[0], size)
    channels = widths[0]
    for level, outputs in enumerate(widths):
        for _ in range(net.layers_per_block + 1):
            _resnet(tally, channels, outputs, size)
            channels = outputs
        if level < len(widths) - 1:
            tally.conv(channels, channels, 1)
    _out(tally, channels, net.out_channels, size)
    return tally.parameters


def _encode(tally: Tally, net: AutoencoderConfig, size: _Size) -> None:
    widths = net.block_out_channels
    tally.conv(net.in_channels, widths[0], size.positions)
    channels = widths[0]
    for level, outputs in enumerate(widths):
        for _ in range(net.layers_per_block):
            with tally.held(channels * size.positions):
                _resnet(tally, channels, outputs, size)
            channels = outputs
        if level < len(widths) - 1:
            with tally.held(2 * channels * size.positions):
                size = size.halved(whole=True)
                tally.conv(channels, channels, size.positions)
    _middle(tally, net, channels, size)
    _out(tally, channels, 2 * net.latent_channels, size)
    if net.use_quant_conv:
        tally.conv(2 * net.latent_channels, 2 * net.latent_channels, size.positions, kernel=1)


class _Size:
    """Height and width of a feature map."""

    __slots__ = ("height", "positions", "width")

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.positions = height * width

    def halved(self, *, whole: bool = False) -> _Size:
        """Rounded up, as padding on both sides does; ``whole``: down, as padding on one side does."""
        more = 0 if whole else 1
        return _Size((self.height + more) // 2, (self.width + more) // 2)

    def doubled(self) -> _Size:
        return _Size(2 * self.height, 2 * self.width)


def _embedding(tally: Tally, inputs: int, hidden: int) -> None:
    tally.linear(inputs, hidden, 1)
    tally.linear(hidden, hidden, 1)


def _resnet(tally: Tally, inputs: int, outputs: int, size: _Size, time: int = 0) -> None:
    """The input itself is the caller's to hold."""
    at = size.positions
    with tally.held(2 * inputs * at):  # normalised, and activated
        tally.norm(inputs, at)
        tally.passing(inputs * at)
    with tally.held((inputs + outputs) * at):
        tally.conv(inputs, outputs, at)
    if time:
        tally.linear(time, outputs, 1)
        tally.passing(outputs * at)
    with tally.held(3 * outputs * at):
        tally.norm(outputs, at)
        tally.passing(outputs * at)
        tally.conv(outputs, outputs, at)
    with tally.held((3 if inputs != outputs else 2) * outputs * at):
        if inputs != outputs:
            tally.conv(inputs, outputs, at, kernel=1)
        tally.passing(outputs * at, 3)


def _transformer(tally: Tally, net: UNetConfig, level: int, size: _Size, tokens: int) -> None:
    channels, at = net.block_out_channels[level], size.positions
    whole = channels * at
    with tally.held(3 * whole):  # the map, and states before and after a sum
        tally.norm(channels, at)
        tally.linear(channels, channels, at)
        for _ in range(net.transformer_layers_per_block[level]):
            for source, keys in ((channels, at), (net.cross_attention_dim, tokens)):
                with tally.held(4 * whole):
                    tally.norm(channels, at)
                    tally.linear(channels, channels, at, bias=False)
                    tally.linear(source, channels, keys, bias=False)
                    tally.linear(source, channels, keys, bias=False)
                    tally.attend(channels, at, keys)
                    tally.linear(channels, channels, at)
                    tally.passing(whole, 3)
            with tally.held(17 * whole):  # normalised 1, both halves of the gate 8, the gate 4, its product 4
                tally.norm(channels, at)
                tally.linear(channels, 8 * channels, at)
                tally.passing(4 * whole, 5)
                tally.linear(4 * channels, channels, at)
                tally.passing(whole, 3)
        tally.linear(channels, channels, at)
        tally.passing(whole, 3)


def _middle(tally: Tally, net: AutoencoderConfig, channels: int, size: _Size) -> None:
    """The autoencoder's: a single head attends over the whole map."""
    whole = channels * size.positions
    with tally.held(whole):
        _resnet(tally, channels, channels, size)
        if net.mid_block_add_attention:
            with tally.held(6 * whole):
                tally.norm(channels, size.positions)
                for _ in range(4):
                    tally.linear(channels, channels, size.positions)
                tally.attend(channels, size.positions, size.positions)
                tally.passing(whole, 3)
        _resnet(tally, channels, channels, size)


def _enlarge(tally: Tally, channels: int, size: _Size) -> None:
    """To ``size``, then a convolution: the smaller map, the larger one and the result are held at once."""
    with tally.held(channels * size.positions * 9 // 4):
        tally.passing(channels * size.positions)
        tally.conv(channels, channels, size.positions)


def _out(tally: Tally, channels: int, outputs: int, size: _Size) -> None:
    with tally.held((3 * channels + outputs) * size.positions):
        tally.norm(channels, size.positions)
        tally.passing(channels * size.positions)
        tally.conv(channels, outputs, size.positions)
