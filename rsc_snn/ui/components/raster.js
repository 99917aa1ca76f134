const FEWEST = 8; // rows that are as close as one can look
const STEP = 1.6; // of a button's zoom
const DRAG = 4; // pixels that a hand may tremble in a click
const AXIS = 26; // pixels of the numbers below
const HINT =
  "Wheel, + and − zoom; dragging moves. Arrow keys move the cursor; a click or Enter chooses a neuron.";
const FIRES = ["silent", "fires only in the original", "fires only when attacked", "fires in both"];

class Raster extends BaseView {
  constructor(root) {
    super(root);
    this.canvas = this.find("canvas");
    this.layer = document.createElement("canvas");
    this.cursor = null;
    this.chosen = null;
    this.listen(this.find(".in"), "click", () => this.zoomMiddle(1 / STEP));
    this.listen(this.find(".out"), "click", () => this.zoomMiddle(STEP));
    this.listen(this.find(".all"), "click", () => this.look(0, this.rows));
    this.listen(this.find(".save"), "click", () => savePicture(this.canvas, "spike-raster.png"));
    this.listen(this.find(".order"), "change", () => this.reorder());
    this.listen(this.find(".segments"), "change", () => this.show());
    this.listenToPointer();
    this.listen(this.canvas, "keydown", (event) => this.press(event));
    this.listen(this.canvas, "focus", () => this.focused());
    this.listen(this.canvas, "blur", () => this.point(null));
    this.onResize(this.canvas, () => this.draw());
  }

  update(data) {
    const known = this.data;
    this.data = data;
    if (known?.codes !== data.codes || known.rows !== data.rows || known.steps !== data.steps) {
      this.codes = unpackCodes(data.codes, data.rows * data.steps);
      this.count();
    }
    if (this.rows !== data.rows) {
      this.rows = data.rows;
      this.top = 0;
      this.span = data.rows;
    }
    const other = data.chosen !== null && data.chosen !== known?.chosen;
    if (other || this.chosen === null || this.chosen >= data.rows) this.chosen = data.chosen;
    this.neurons = numbersOf(data.neurons);
    this.layOut(data.bands);
    if (data.order !== known?.order) this.find(".order").value = data.order;
    this.sort();
    this.canvas.setAttribute(
      "aria-label",
      `Spikes of ${counted(data.rows)} neurons in ${data.steps} time steps. ${this.sums()}.`,
    );
  }

  // How often each row spikes, how often only one pass does, and how many cells have each code.
  count() {
    const { rows, steps } = this.data;
    this.spikes = new Uint16Array(rows);
    this.changes = new Uint16Array(rows);
    this.totals = [0, 0, 0, 0];
    for (let row = 0, at = 0; row < rows; row += 1) {
      for (let step = 0; step < steps; step += 1, at += 1) {
        const code = this.codes[at];
        this.totals[code] += 1;
        this.spikes[row] += code > 0;
        this.changes[row] += code === 1 || code === 2;
      }
    }
  }

  layOut(bands) {
    let start = 0;
    this.bands = bands.map(({ name, rows }) => {
      start += rows;
      return { name, start: start - rows, end: start };
    });
  }

  // The data's row at each place from the top: layers stay where they are, neurons move in them.
  sort() {
    const by = { spikes: this.spikes, changes: this.changes }[this.find(".order").value];
    this.order = Uint32Array.from({ length: this.rows }, (_, row) => row);
    if (by) {
      for (const { start, end } of this.bands) {
        this.order.subarray(start, end).sort((one, other) => by[other] - by[one] || one - other);
      }
    }
    this.place = new Uint32Array(this.rows);
    this.order.forEach((row, place) => {
      this.place[row] = place;
    });
    this.show();
  }

  reorder() {
    this.sort();
    this.send("order", this.find(".order").value);
  }

  mode() {
    return this.find(".segments :checked").value;
  }

  show() {
    const one = this.mode() !== "differences";
    const shown = one ? [this.mode() === "original" ? 1 : 2] : [1, 2, 3];
    for (const entry of this.root.querySelectorAll("[data-code]")) {
      const code = Number(entry.dataset.code);
      entry.classList.toggle("none", !shown.includes(code));
      entry.style.setProperty("--colour", this.colour(code));
      const number = this.totals[code] + (one ? this.totals[3] : 0);
      const what = ["", "original", "attacked", "both"][code];
      write(entry, `${one || code === 3 ? "" : "only "}${what}: ${counted(number)} spikes`);
    }
    this.draw();
    this.tell();
  }

  sums() {
    const [, original, attacked, both] = this.totals.map(counted);
    return `${both} spikes in both, ${original} only in the original, ${attacked} only when attacked`;
  }

  colour(code) {
    const { clean, adversarial, both } = this.data.colours;
    return [null, clean, adversarial, both][code];
  }

  // For each code, the colour and the opacity of a cell in what is chosen to be shown.
  palette() {
    const mode = this.mode();
    const of = (code, opacity) => [...rgb(this.colour(code)), opacity];
    const none = [0, 0, 0, 0];
    if (mode === "original") return [none, of(1, 1), none, of(1, 1)];
    if (mode === "attacked") return [none, none, of(2, 1), of(2, 1)];
    return [none, of(1, 1), of(2, 1), of(3, 0.3)];
  }

  look(top, span) {
    this.span = clamp(span, Math.min(FEWEST, this.rows), this.rows);
    this.top = clamp(top, 0, this.rows - this.span);
    this.draw();
  }

  // Zoom so that what is at `share` (0 top .. 1 bottom) of the picture stays there.
  zoom(factor, share) {
    const fixed = this.top + share * this.span;
    const span = clamp(this.span * factor, Math.min(FEWEST, this.rows), this.rows);
    this.look(fixed - share * span, span);
  }

  zoomMiddle(factor) {
    const seen = this.cursor && (this.cursor.place + 0.5 - this.top) / this.span;
    this.zoom(factor, seen >= 0 && seen <= 1 ? seen : 0.5);
  }

  request() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  // Sizes in the canvas's own pixels.
  measure() {
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale);
    const height = Math.round(this.canvas.clientHeight * scale);
    const left = Math.round(Math.min(130 * scale, 0.27 * width));
    return { scale, width, height, left, bottom: height - Math.round(AXIS * scale) };
  }

  draw() {
    const size = this.measure();
    if (!this.data || size.width === 0) return;
    const started = performance.now();
    if (this.canvas.width !== size.width) this.canvas.width = size.width;
    if (this.canvas.height !== size.height) this.canvas.height = size.height;
    this.size = size;
    const context = this.canvas.getContext("2d");
    context.fillStyle = this.style("--st-secondary-background-color");
    context.fillRect(0, 0, size.width, size.height);
    this.drawSpikes(context, size);
    this.drawFrame(context, size);
    this.drawMarks(context, size);
    this.canvas.classList.toggle("zoomed", this.span < this.rows);
    this.find(".out").disabled = this.find(".all").disabled = this.span >= this.rows;
    this.find(".in").disabled = this.span <= FEWEST;
    this.canvas.dataset.view = `${Math.round(this.top)}-${Math.round(this.top + this.span)}`;
    this.canvas.dataset.milliseconds = (performance.now() - started).toFixed(1);
  }

  // One column of pixels a step, stretched.
  drawSpikes(context, { width, left, bottom }) {
    const { steps } = this.data;
    const image = new ImageData(steps, bottom);
    const palette = this.palette();
    for (let step = 0; step < steps; step += 1) {
      const owed = [0, 0, 0, 0];
      for (let y = 0; y < bottom; y += 1) {
        const first = Math.floor(this.top + (y * this.span) / bottom);
        const end = Math.max(first + 1, Math.floor(this.top + ((y + 1) * this.span) / bottom));
        const counts = this.countBetween(first, end, step);
        this.colourPixel(image.data, 4 * (y * steps + step), palette, counts, owed);
      }
    }
    this.layer.width = steps;
    this.layer.height = bottom;
    this.layer.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.layer, left, 0, width - left, bottom);
  }

  countBetween(first, end, step) {
    const { steps } = this.data;
    const counts = [0, 0, 0, 0];
    for (let place = first; place < end; place += 1) {
      counts[this.codes[this.order[place] * steps + step]] += 1;
    }
    return counts;
  }

  // A pixel of many neurons is as opaque as they are on average, and has the colour of one of the
  // codes among them: the one that is owed most, so that down a column each code gets its share.
  // The mean of blue and orange would be a grey that says nothing.
  colourPixel(pixels, at, palette, counts, owed) {
    const weights = counts.map((count, code) => count * palette[code][3]);
    const sum = weights[1] + weights[2] + weights[3];
    if (sum === 0) return;
    let chosen = 0;
    for (let code = 1; code < 4; code += 1) {
      owed[code] += weights[code] / sum;
      if (weights[code] > 0 && (chosen === 0 || owed[code] > owed[chosen])) chosen = code;
    }
    owed[chosen] -= 1;
    for (let part = 0; part < 3; part += 1) pixels[at + part] = palette[chosen][part];
    // The root keeps the few spikes of many neurons visible.
    const neurons = counts[0] + counts[1] + counts[2] + counts[3];
    pixels[at + 3] = 255 * Math.sqrt(sum / neurons);
  }

  drawFrame(context, { scale, width, left, bottom }) {
    const { steps } = this.data;
    context.font = `${Math.round(12 * scale)}px ${this.style("--st-font") || "sans-serif"}`;
    context.textBaseline = "middle";
    const text = this.style("--st-text-color");
    const page = this.style("--st-background-color");
    const step = (width - left) / steps;
    context.fillStyle = page;
    for (let index = 0; index <= steps && step > 6 * scale; index += 1) {
      context.fillRect(Math.round(left + index * step - scale / 2), 0, Math.max(scale, 1), bottom);
    }
    this.drawBands(context, text, page);
    context.fillStyle = text;
    context.textAlign = "center";
    const every = Math.ceil((22 * scale) / step);
    for (let index = 0; index < steps; index += every) {
      context.fillText(index + 1, left + (index + 0.5) * step, bottom + (AXIS * scale) / 2);
    }
    context.textAlign = "left";
    context.fillText("time step", 6 * scale, bottom + (AXIS * scale) / 2, left - 10 * scale);
  }

  drawBands(context, text, page) {
    const { scale, width, left, bottom } = this.size;
    context.textAlign = "left";
    for (const { name, start, end } of this.bands) {
      const upper = this.y(start);
      const lower = this.y(end);
      if (lower <= 0 || upper >= bottom) continue;
      context.fillStyle = page;
      if (upper > 0) context.fillRect(0, Math.round(upper), width, Math.max(scale, 1));
      const [from, to] = [Math.max(upper, 0), Math.min(lower, bottom)];
      if (to - from < 14 * scale) continue;
      context.fillStyle = text;
      context.fillText(fitted(context, name, left - 12 * scale), 6 * scale, (from + to) / 2);
    }
  }

  y(place) {
    return ((place - this.top) / this.span) * this.size.bottom;
  }

  drawMarks(context, size) {
    if (this.chosen !== null) this.mark(context, size, this.place[this.chosen], true);
    if (this.cursor) this.mark(context, size, this.cursor.place, false);
  }

  mark(context, { scale, width, left, bottom }, place, strong) {
    const upper = this.y(place);
    const height = Math.max(this.y(place + 1) - upper, 2 * scale);
    if (upper < -0.5 || upper >= bottom) return;
    context.strokeStyle = context.fillStyle = this.style("--st-text-color");
    context.globalAlpha = strong ? 1 : 0.55;
    context.lineWidth = (strong ? 1.5 : 1) * scale;
    context.strokeRect(left, upper - scale, width - left - scale, height + 2 * scale);
    if (strong) {
      const middle = upper + height / 2;
      context.beginPath();
      context.moveTo(left, middle);
      context.lineTo(left - 8 * scale, middle - 5 * scale);
      context.lineTo(left - 8 * scale, middle + 5 * scale);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  // The cell under a pointer: the place from the top and the step, or null beside the picture.
  cell(event) {
    const { scale, width, left, bottom } = this.size;
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * scale;
    const y = (event.clientY - box.top) * scale;
    if (x < 0 || x >= width || y < 0 || y >= bottom) return null;
    const place = clamp(Math.floor(this.top + (y / bottom) * this.span), 0, this.rows - 1);
    const step = Math.floor(((x - left) / (width - left)) * this.data.steps);
    return { place, step: clamp(step, 0, this.data.steps - 1) };
  }

  listenToPointer() {
    const { canvas } = this;
    this.listen(canvas, "pointerdown", (event) => this.grab(event));
    this.listen(canvas, "pointermove", (event) => this.move(event));
    this.listen(canvas, "pointerup", (event) => this.release(event));
    this.listen(canvas, "pointercancel", () => this.drop());
    this.listen(canvas, "pointerleave", () => this.leave());
    this.listen(canvas, "wheel", (event) => this.wheel(event));
  }

  grab(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { from: event.clientY, top: this.top, moved: false };
  }

  move(event) {
    // A page that scrolls below a resting pointer moves no pointer; only one that moved may zoom.
    if (event.movementX || event.movementY) this.armed = true;
    const { drag } = this;
    if (!drag) {
      this.point(this.cell(event));
      return;
    }
    const moved = event.clientY - drag.from;
    if (Math.abs(moved) > DRAG) drag.moved = true;
    if (!drag.moved || this.span >= this.rows) return;
    this.canvas.classList.add("panning");
    const rows = ((moved * this.size.scale) / this.size.bottom) * this.span;
    this.top = clamp(drag.top - rows, 0, this.rows - this.span);
    this.request();
  }

  release(event) {
    const clicked = this.drag && !this.drag.moved && this.cell(event);
    this.drop();
    if (!clicked) return;
    this.point(clicked);
    this.choose();
  }

  drop() {
    this.drag = null;
    this.canvas.classList.remove("panning");
  }

  leave() {
    this.armed = false;
    if (!this.drag && this.root.activeElement !== this.canvas) this.point(null);
  }

  wheel(event) {
    const outward = event.deltaY > 0;
    const useless = outward ? this.span >= this.rows : this.span <= FEWEST;
    if (useless || event.deltaY === 0 || !(this.armed || event.ctrlKey)) return;
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    const share = ((event.clientY - box.top) * this.size.scale) / this.size.bottom;
    this.zoom(2 ** clamp(event.deltaY / 150, -1, 1), clamp(share, 0, 1));
    this.point(this.cell(event));
  }

  press(event) {
    const page = Math.max(1, Math.floor(this.span / 2));
    const rows = {
      ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    }[event.key];
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (rows !== undefined) this.step(rows, 0);
    else if (steps !== undefined) this.step(0, steps);
    else if (event.key === "+" || event.key === "=") this.zoomMiddle(1 / STEP);
    else if (event.key === "-") this.zoomMiddle(STEP);
    else if (event.key === "0") this.look(0, this.rows);
    else if (event.key === "Enter" || event.key === " ") this.choose();
    else return;
    event.preventDefault();
  }

  step(rows, steps) {
    const now = this.cursor ?? { place: Math.floor(this.top), step: 0 };
    const place = clamp(now.place + rows, 0, this.rows - 1);
    if (place < this.top) this.top = place;
    if (place + 1 > this.top + this.span) this.top = place + 1 - this.span;
    this.point({ place, step: clamp(now.step + steps, 0, this.data.steps - 1) });
  }

  // By the keyboard one starts at the neuron that is chosen.
  focused() {
    if (this.cursor || !this.canvas.matches(":focus-visible")) return;
    const place = this.chosen === null ? Math.floor(this.top) : this.place[this.chosen];
    this.cursor = { place, step: 0 };
    this.step(0, 0);
  }

  point(cell) {
    this.cursor = cell;
    this.request();
    this.tell();
  }

  choose() {
    if (!this.cursor) return;
    this.chosen = this.order[this.cursor.place];
    this.request();
    this.send("row", this.chosen);
  }

  tell() {
    const cell = this.cursor ?? null;
    if (cell) write(this.find(".readout"), this.describe(cell));
    else if (this.chosen === null) write(this.find(".readout"), HINT);
    else write(this.find(".readout"), `Chosen: ${this.neuron(this.chosen)}. ${HINT}`);
  }

  describe({ place, step }) {
    const row = this.order[place];
    const code = this.codes[row * this.data.steps + step];
    return `${this.neuron(row)}, t = ${step + 1}: ${FIRES[code]}`;
  }

  neuron(row) {
    const band = this.bands.find(({ end }) => row < end);
    return `${band.name}, neuron ${counted(this.neurons[row])}`;
  }

  end() {
    super.end();
    cancelAnimationFrame(this.frame);
  }
}

function numbersOf({ bytes, values }) {
  const { buffer } = bytesOf(values);
  return bytes === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
}

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// A name that is too wide ends in an ellipsis.
function fitted(context, name, width) {
  if (context.measureText(name).width <= width) return name;
  let end = name.length;
  while (end > 1 && context.measureText(`${name.slice(0, end)}…`).width > width) end -= 1;
  return `${name.slice(0, end).trimEnd()}…`;
}

export default mounted(Raster);
