// Two fingers (or the wheel with Ctrl) move and enlarge the board; one finger is left to paint.
const MOST = 8;

export function view(easel, board, button) {
  const fingers = new Map();
  let zoom = 1;
  let dx = 0;
  let dy = 0;
  let start = null;

  function apply() {
    if (zoom <= 1.01) [zoom, dx, dy] = [1, 0, 0];
    board.style.setProperty("--zoom", zoom);
    board.style.setProperty("--dx", `${dx}px`);
    board.style.setProperty("--dy", `${dy}px`);
    button.hidden = zoom === 1;
  }

  // The board's corner without zoom, on the screen.
  function corner() {
    const box = board.getBoundingClientRect();
    return { x: box.left - dx, y: box.top - dy };
  }

  function about(point, to) {
    const origin = corner();
    const next = Math.max(1, Math.min(MOST, to));
    const fixed = { x: (point.x - origin.x - dx) / zoom, y: (point.y - origin.y - dy) / zoom };
    dx = point.x - origin.x - fixed.x * next;
    dy = point.y - origin.y - fixed.y * next;
    zoom = next;
    apply();
  }

  const middle = () => {
    const [a, b] = [...fingers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
  };

  easel.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      about({ x: event.clientX, y: event.clientY }, zoom * Math.exp(-event.deltaY / 300));
    },
    { passive: false },
  );
  button.addEventListener("click", () => {
    zoom = 1;
    apply();
  });

  return {
    // Each says whether the event was for the view.
    down(event) {
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (fingers.size < 2) return false;
      start = { ...middle(), zoom };
      return true;
    },
    move(event) {
      if (!fingers.has(event.pointerId)) return false;
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (!start || fingers.size < 2) return Boolean(start);
      const now = middle();
      dx += now.x - start.x;
      dy += now.y - start.y;
      [start.x, start.y] = [now.x, now.y];
      about(now, (start.zoom * now.apart) / Math.max(start.apart, 1));
      return true;
    },
    up(event) {
      fingers.delete(event.pointerId);
      if (fingers.size === 0) start = null;
    },
  };
}
