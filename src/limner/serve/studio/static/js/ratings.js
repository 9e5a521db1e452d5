// A picture may be shown twice (in the feed, and in the box over it): its stars are the same everywhere.
document.addEventListener("htmx:afterSettle", (event) => {
  const rated = event.detail.elt;
  if (!rated?.matches?.("form.rating")) return;
  const stars = rated.querySelector("input[name=rating]:checked")?.value ?? "0";
  for (const other of document.querySelectorAll(`form.rating[action="${CSS.escape(rated.getAttribute("action"))}"]`)) {
    if (other !== rated) put(other, Number(stars));
  }
});

function put(form, stars) {
  for (const each of form.querySelectorAll("input[name=rating]")) each.checked = Number(each.value) === stars;
  form.querySelectorAll("label.star").forEach((label, place) => label.classList.toggle("on", place < stars));
  form.querySelector("legend").textContent = stars ? `Rating: ${stars} of 5` : "Rating: none";
}
