// <dialog>s: data-opens="ID" on a button or link, data-closes inside; focus goes back to where it was.
const openers = new WeakMap();

export function open(dialog, opener = document.activeElement) {
  if (dialog.open) return;
  openers.set(dialog, opener);
  dialog.showModal();
  for (const each of dialog.querySelectorAll("[hx-trigger*='opened']")) each.dispatchEvent(new CustomEvent("opened"));
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener && !event.metaKey && !event.ctrlKey) {
    event.preventDefault();
    open(document.getElementById(opener.dataset.opens), opener);
    return;
  }
  const dialog = event.target.closest("dialog");
  if (!dialog?.open) return;
  if (event.target.closest("[data-closes]") || (event.target === dialog && outside(dialog, event))) dialog.close();
});

document.addEventListener(
  "close",
  (event) => {
    const opener = openers.get(event.target);
    if (opener?.isConnected) opener.focus({ preventScroll: true });
  },
  true,
);

function outside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  return !inside && event.detail > 0;
}

// What the queue holds is asked for again only while somebody looks.
document.body.addEventListener("queue", () => {
  for (const each of document.querySelectorAll("dialog[open] [hx-trigger*='queue-open']")) each.dispatchEvent(new CustomEvent("queue-open"));
});
