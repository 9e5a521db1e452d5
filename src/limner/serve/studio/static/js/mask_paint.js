// What is masked, as stripes that can be seen on any picture. The canvas is at least 768 pixels, whatever the picture.
const FINE = 768;
const MOST = 1536;
const KEPT = 24; // strokes that can be undone

export function pixels(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return { x: ((event.clientX - box.left) / box.width) * canvas.width, y: ((event.clientY - box.top) / box.height) * canvas.height };
}

export class Paint {
  #context;
  #history = [];
  #stripes;
  #told;

  constructor(canvas, width, height, told) {
    const longer = Math.max(width, height);
    const scale = Math.min(Math.max(FINE / longer, 1), Math.max(MOST / longer, 0.25));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    this.canvas = canvas;
    this.size = { width, height };
    this.#told = told;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    this.#stripes = this.#pattern();
  }

  get undoable() {
    return this.#history.length > 0;
  }

  begin() {
    this.#history.push(this.#context.getImageData(0, 0, this.canvas.width, this.canvas.height));
    if (this.#history.length > KEPT) this.#history.shift();
  }

  finish() {
    this.#told();
  }

  undo() {
    const before = this.#history.pop();
    if (before) this.#context.putImageData(before, 0, 0);
    this.#told();
  }

  line(from, to, radius, erase) {
    const context = this.#context;
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.strokeStyle = this.#stripes;
    context.lineWidth = radius * 2;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + (from === to ? 0.01 : 0), to.y);
    context.stroke();
  }

  box({ x, y, w, h }, erase) {
    this.#context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    this.#context.fillStyle = this.#stripes;
    this.#context.fillRect(x, y, w, h);
  }

  clear() {
    this.#context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  // The share of the picture that is masked, from every seventh pixel.
  share() {
    const { data } = this.#context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    let on = 0;
    let all = 0;
    for (let k = 3; k < data.length; k += 28) {
      all += 1;
      if (data[k] > 127) on += 1;
    }
    return on / all;
  }

  // White is redrawn, black kept; of the picture's own size.
  async png() {
    const { width, height } = this.size;
    const out = new OffscreenCanvas(width, height);
    const context = out.getContext("2d");
    context.drawImage(this.canvas, 0, 0, width, height);
    const image = context.getImageData(0, 0, width, height);
    for (let k = 0; k < image.data.length; k += 4) {
      const value = image.data[k + 3] > 127 ? 255 : 0;
      image.data[k] = image.data[k + 1] = image.data[k + 2] = value;
      image.data[k + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return out.convertToBlob({ type: "image/png" });
  }

  restripe() {
    this.#stripes = this.#pattern();
    this.#context.globalCompositeOperation = "source-in";
    this.#context.fillStyle = this.#stripes;
    this.#context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  #pattern() {
    const style = getComputedStyle(this.canvas);
    const side = 16;
    const tile = new OffscreenCanvas(side, side);
    const context = tile.getContext("2d");
    context.fillStyle = colour(style, "--accent");
    context.fillRect(0, 0, side, side);
    context.strokeStyle = colour(style, "--on-accent");
    context.lineWidth = 3;
    for (const offset of [-side, 0, side]) {
      context.beginPath();
      context.moveTo(offset - 2, side + 2);
      context.lineTo(offset + side + 2, -2);
      context.stroke();
    }
    return this.#context.createPattern(tile, "repeat");
  }
}

// A token's colour as a canvas understands it: light-dark() is resolved by an element that has it.
function colour(style, name) {
  const probe = document.createElement("i");
  probe.style.setProperty("color", `var(${name})`);
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found || style.color;
}
