"""The voting page: one HTML file that needs no network, and gives the votes back as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

FORMAT = 1


class Shown(NamedTuple):
    """What a rater sees of one choice: the words, and two pictures as (name, data URI)."""

    item: str
    words: str
    sides: tuple[tuple[str, str], ...]


def page(ballot: str, shown: Sequence[Shown]) -> str:
    """The page's HTML. Sides are swapped by chance in the rater's browser, and what was on the left is noted."""
    data = {"format": FORMAT, "ballot": ballot, "items": [each._asdict() for each in shown]}
    # Inside a script "</script>" would end it, whatever JSON says.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", " ").replace("\u2029", " ")
    return _PAGE.replace("__DATA__", text)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Which picture is better?</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.2rem; margin: 0.5rem 0; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: center; }
.pair button { background: none; border: 3px solid transparent; border-radius: 6px; cursor: pointer; padding: 4px; }
.pair button:focus-visible, .pair button:hover { border-color: #36c; }
.pair button.chosen { border-color: #2a7; }
.pair img { display: block; min-width: 16rem; max-width: min(44vw, 32rem); image-rendering: auto; }
nav { display: flex; flex-wrap: wrap; gap: 0.5rem; justify-content: center; margin: 1rem 0; }
nav button, nav input { font: inherit; padding: 0.4rem 0.8rem; }
p.hint { text-align: center; opacity: 0.75; }
</style>
</head>
<body>
<h1>Which picture shows this better? <q id="words"></q></h1>
<p class="hint" id="progress" aria-live="polite"></p>
<div class="pair">
<button id="left" aria-label="the left picture"><img id="left-picture" alt="left picture"></button>
<button id="right" aria-label="the right picture"><img id="right-picture" alt="right picture"></button>
</div>
<nav>
<button id="back">Back</button>
<button id="tie">No difference</button>
<button id="skip">Skip</button>
</nav>
<nav>
<label>Your name <input id="rater" autocomplete="off" maxlength="60"></label>
<button id="save">Save votes as a file</button>
</nav>
<p class="hint">Keys: left and right arrow choose, down arrow is no difference, backspace goes back. Nothing leaves this
page: send the saved file to whoever gave it to you.</p>
<script id="data" type="application/json">__DATA__</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const key = "limner-votes-" + data.ballot;
let state = { rater: "", votes: {}, left: {} };
try {
  state = Object.assign(state, JSON.parse(localStorage.getItem(key) || "{}"));
} catch (error) { /* a private window keeps nothing */ }
for (const each of data.items) {
  if (!(each.item in state.left)) state.left[each.item] = Math.random() < 0.5 ? 0 : 1;
}
let at = Math.max(0, data.items.findIndex((each) => !(each.item in state.votes)));
function keep() { try { localStorage.setItem(key, JSON.stringify(state)); } catch (error) { /* as above */ } }
function sides(each) { const l = state.left[each.item]; return [each.sides[l], each.sides[1 - l]]; }
function show() {
  const each = data.items[at], [left, right] = sides(each), vote = state.votes[each.item];
  $("words").textContent = each.words;
  $("left-picture").src = left[1];
  $("right-picture").src = right[1];
  $("left").classList.toggle("chosen", vote === left[0]);
  $("right").classList.toggle("chosen", vote === right[0]);
  const done = Object.keys(state.votes).length;
  $("progress").textContent = "Pair " + (at + 1) + " of " + data.items.length + "; " + done + " voted"
    + (done === data.items.length ? ". All done: save the file." : "");
}
function vote(choice) {
  state.votes[data.items[at].item] = choice;
  keep();
  if (at < data.items.length - 1) at += 1;
  show();
}
$("left").onclick = () => vote(sides(data.items[at])[0][0]);
$("right").onclick = () => vote(sides(data.items[at])[1][0]);
$("tie").onclick = () => vote(null);
$("skip").onclick = () => { if (at < data.items.length - 1) { at += 1; show(); } };
$("back").onclick = () => { if (at > 0) { at -= 1; show(); } };
$("rater").value = state.rater;
$("rater").oninput = () => { state.rater = $("rater").value; keep(); };
document.addEventListener("keydown", (event) => {
  if (event.target === $("rater") || event.ctrlKey || event.metaKey || event.altKey) return;
  const does = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", Backspace: "back" }[event.key];
  if (does) { event.preventDefault(); $(does).click(); }
});
$("save").onclick = () => {
  const rater = state.rater.trim();
  if (!rater) { $("rater").focus(); alert("Please give your name, or any word that stands for you."); return; }
  const votes = data.items.filter((each) => each.item in state.votes).map((each) => (
    { item: each.item, choice: state.votes[each.item], left: sides(each)[0][0] }));
  const text = JSON.stringify({ format: data.format, ballot: data.ballot, rater: rater, votes: votes }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "votes-" + rater.replace(/[^\\p{L}\\p{N}]+/gu, "-") + ".json";
  link.click();
};
show();
</script>
</body>
</html>
"""
