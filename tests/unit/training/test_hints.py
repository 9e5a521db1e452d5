"""The labels that teach the UNet where to look say what the renderer drew and the caption said."""

import random

import numpy as np
import pytest
import torch
from training import captions, hints, pocket
from training.data import Batches, Stream
from training.layout import lay_out
from training.scene import Part, Scene
from training.sprites import Atlas


def test_cells_are_told_thing_and_colour_in_their_half() -> None:
    scene = Scene((Part(2, colour="blue"), Part(4)), relation="left")
    things, colours = hints.cells(lay_out([scene], [random.Random(0)]))[0]
    half = hints.GRID // 2
    assert set(things[:, :half].flat) == {2, hints.IGNORED}
    assert set(things[:, half:].flat) == {4, hints.IGNORED}
    assert set(colours[:, half:].flat) == {hints.OWN, hints.IGNORED}
    assert len(set(colours[:, :half].flat) - {hints.IGNORED, hints.OWN}) == 1


def test_the_smallest_thing_has_a_cell() -> None:
    scenes = [Scene((Part(1, count=5),)), Scene((Part(1, size="small"),))]
    found = hints.cells(lay_out(scenes, [random.Random(k) for k in range(2)]))
    assert (found[0, 0] == 1).sum() >= 5
    assert (found[1, 0] == 1).any()


def test_things_count_more_than_their_surroundings() -> None:
    cells = torch.from_numpy(hints.cells(lay_out([Scene((Part(0),))], [random.Random(0)])))
    weights = hints.emphasis(cells, 16)[0, 0]
    assert weights.mean() == pytest.approx(1)
    assert weights[9, 8] == pytest.approx(3 * weights[0, 0])
    assert 0.15 < (weights > weights.min()).float().mean() < 0.6


def test_every_noun_of_a_caption_is_found_once_with_its_colour_and_number(atlas: Atlas) -> None:
    vocab = captions.vocabulary(atlas.things)
    nouns = hints.Nouns(atlas.things, vocab)
    batch = Batches(Stream(seed=5, batch=64, ways=2, length=pocket.LENGTH), atlas.things, vocab)[0]
    for rows, scene in zip(batch.tokens.tolist(), batch.scenes, strict=True):
        for row in rows:
            found = nouns(row, scene)
            said = found[found[:, 0] != hints.IGNORED]
            assert sorted(said[:, 0]) == sorted(p.thing for p in scene.parts)
            assert sorted(said[:, 2]) == sorted(p.count - 1 for p in scene.parts)
            assert (said[:, 1] == hints.OWN).sum() == sum(p.colour is None for p in scene.parts)


def test_the_heads_learn_from_captions_alone_what_lies_in_pure_noise(atlas: Atlas) -> None:
    torch.manual_seed(0)
    vocab = captions.vocabulary(atlas.things)
    text, unet = pocket.build_text(len(vocab), 32), pocket.build_unet(4, (16, 32), 32)
    heads = hints.Heads(len(atlas.things), 32, 32)
    heads.attach(unet)
    scenes = [Scene((Part(k),)) for k in range(len(atlas.things))]
    cells = torch.from_numpy(hints.cells(lay_out(scenes, [random.Random(k) for k in range(len(scenes))])))
    tokens = [captions.encode(atlas.things[k].names[0][0], vocab, pocket.LENGTH) for k in range(len(scenes))]
    nouns = hints.Nouns(atlas.things, vocab)
    words = torch.from_numpy(np.stack([nouns(row, scene) for row, scene in zip(tokens, scenes, strict=True)]))
    silent = torch.zeros(len(scenes), dtype=torch.bool)
    optimizer = torch.optim.Adam([*text.parameters(), *unet.parameters(), *heads.parameters()], 3e-3)
    noise, t = torch.randn(1, 4, 16, 16).expand(len(scenes), -1, -1, -1), torch.full((len(scenes),), 999)
    for _ in range(60):
        states = text(torch.tensor(tokens)).last_hidden_state
        unet(noise, t, states)
        marks = heads(states, cells, words, silent)
        optimizer.zero_grad()
        torch.autograd.backward(marks.cells + marks.words)
        optimizer.step()
    assert marks.named > 0.9
    unet(noise, t, states[torch.randperm(len(scenes), generator=torch.Generator().manual_seed(1))])
    assert heads(states, cells, words, silent).named < 0.6  # other captions, other answers
