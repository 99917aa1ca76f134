const LEVELS = ["rgba(0, 0, 0, 0)", "rgba(255, 255, 255, 0.62)", "rgba(0, 0, 0, 0.62)"];
const WORDS = ["untouched", "lighter", "darker"];
const REMEMBERED = 50;
const RESOLUTION = 768; // pixels of the drawing's longer side, at least

class Painter extends BaseView {
  constructor(root) {
    super(root);
    this.canvas = this.find("canvas");
    this.brush = { row: 0, column: 0, seen: false };
    this.listen(this.canvas, "pointerdown", (event) => this.begin(event));
    this.listen(this.canvas, "pointermove", (event) => this.move(event));
    this.listen(this.canvas, "pointerup pointercancel", () => this.finish());
    this.listen(this.canvas, "pointerleave", () => this.leave());
    this.listen(this.canvas, "keydown", (event) => this.press(event));
    this.listen(this.canvas, "keyup", (event) => event.key === " " && this.finish());
    this.listen(this.canvas, "blur", () => this.leave());
    this.listen(this.find(".undo"), "click", () => this.undo());
    this.listen(this.find(".clear"), "click", () => this.clear());
    this.listen(this.find(".size input"), "input", () => this.resize());
    this.resize();
  }

  update(data) {
    const known = this.data;
    this.data = data;
    if (known?.width !== data.width || known.height !== data.height) this.start();
    if (known?.photograph !== data.photograph) this.load(data.photograph);
    else this.request();
  }

  start() {
    const { width, height, start } = this.data;
    this.pattern = unpackCodes(start, width * height);
    this.past = [];
    this.stroke = null;
    this.brush = { row: height >> 1, column: width >> 1, seen: false };
    this.changed();
  }

  async load(link) {
    const picture = await loadPicture(link);
    if (link !== this.data.photograph) return;
    this.picture = picture;
    this.request();
  }

  level() {
    return Number(this.find(".segments :checked").value);
  }

  size() {
    return Number(this.find(".size input").value);
  }

  resize() {
    write(this.find(".size output"), this.size() === 1 ? "1 pixel" : `${this.size()} pixels`);
    this.request();
  }

  // The cell under a pointer; beside the photograph too, as strokes may begin or end there.
  cell(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.data;
    const scale = Math.min(box.width / width, box.height / height);
    const left = box.left + (box.width - scale * width) / 2;
    const top = box.top + (box.height - scale * height) / 2;
    return {
      row: Math.floor((event.clientY - top) / scale),
      column: Math.floor((event.clientX - left) / scale),
    };
  }

  begin(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.open();
    this.moveBrush(this.cell(event));
    this.dab(this.brush);
  }

  move(event) {
    const from = this.brush;
    this.moveBrush(this.cell(event));
    if (this.stroke) this.line(from, this.brush);
  }

  moveBrush(cell) {
    this.brush = { ...cell, seen: true };
    this.request();
  }

  leave() {
    if (this.root.activeElement !== this.canvas) this.brush.seen = false;
    if (!this.stroke) this.request();
    else if (this.root.activeElement !== this.canvas) this.finish();
  }

  open() {
    if (!this.stroke) this.stroke = this.pattern.slice();
  }

  // The end of a stroke: the only moment at which the page hears of it.
  finish() {
    const before = this.stroke;
    this.stroke = null;
    if (!before || before.every((level, index) => level === this.pattern[index])) return;
    this.remember(before);
    this.tellPage();
  }

  remember(pattern) {
    this.past.push(pattern);
    if (this.past.length > REMEMBERED) this.past.shift();
  }

  undo() {
    if (this.past.length === 0) return;
    this.stroke = null;
    this.pattern = this.past.pop();
    this.tellPage();
  }

  clear() {
    if (!this.pattern.some(Boolean)) return;
    this.remember(this.pattern);
    this.pattern = new Uint8Array(this.pattern.length);
    this.tellPage();
  }

  tellPage() {
    this.changed();
    write(this.find("[aria-live]"), this.find(".painted").textContent);
    this.send("pattern", packCodes(this.pattern));
  }

  changed() {
    const painted = this.pattern.reduce((sum, level) => sum + (level > 0), 0);
    const share = (100 * painted) / this.pattern.length;
    const text = painted === 0 ? "Nothing is painted." : `Painted: ${share.toFixed(1)} % of the pixels`;
    write(this.find(".painted"), text);
    this.canvas.setAttribute(
      "aria-label",
      `The photograph, ${this.data.width} × ${this.data.height} pixels. ${text}`,
    );
    this.find(".undo").disabled = this.past.length === 0;
    this.find(".clear").disabled = painted === 0;
    this.request();
  }

  press(event) {
    const rows = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    const columns = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    if ((event.ctrlKey || event.metaKey) && event.key === "z") this.undo();
    else if (event.key === " ") this.paintHere();
    else if (rows || columns) this.walk(rows, columns);
    else return;
    event.preventDefault();
  }

  paintHere() {
    this.open();
    this.dab(this.brush);
    this.brush.seen = true;
    this.request();
  }

  // One pixel further; while the space bar is held, painting.
  walk(rows, columns) {
    const { width, height } = this.data;
    const row = clamp(this.brush.row + rows, 0, height - 1);
    const column = clamp(this.brush.column + columns, 0, width - 1);
    this.moveBrush({ row, column });
    if (this.stroke) this.dab(this.brush);
    const level = WORDS[this.pattern[row * width + column]];
    write(this.find("[aria-live]"), `row ${row + 1}, column ${column + 1}, ${level}`);
  }

  // Every cell from one to the other, as a quick hand skips some.
  line(from, to) {
    const steps = Math.max(Math.abs(to.row - from.row), Math.abs(to.column - from.column), 1);
    for (let step = 1; step <= steps; step += 1) {
      const share = step / steps;
      this.dab({
        row: Math.round(from.row + share * (to.row - from.row)),
        column: Math.round(from.column + share * (to.column - from.column)),
      });
    }
  }

  dab(centre) {
    const { width } = this.data;
    const level = this.level();
    for (const { row, column } of this.touched(centre)) this.pattern[row * width + column] = level;
  }

  // The photograph's cells in the brush's disc.
  touched(centre) {
    const { width, height } = this.data;
    const size = this.size();
    const shift = size % 2 === 0 ? 0.5 : 0; // an even brush is centred between pixels
    const reach = size / 2;
    const cells = [];
    for (let row = Math.max(0, Math.floor(centre.row - reach)); row < height; row += 1) {
      const down = row + shift - centre.row;
      if (down > reach) break;
      for (let column = Math.max(0, Math.floor(centre.column - reach)); column < width; column += 1) {
        const across = column + shift - centre.column;
        if (across > reach) break;
        if (down * down + across * across <= reach * reach) cells.push({ row, column });
      }
    }
    return cells;
  }

  request() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (!this.picture) return;
    const { width, height } = this.data;
    const cell = Math.ceil(RESOLUTION / Math.max(width, height));
    if (this.canvas.width !== width * cell) this.canvas.width = width * cell;
    if (this.canvas.height !== height * cell) this.canvas.height = height * cell;
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(this.picture, 0, 0, width * cell, height * cell);
    this.drawPattern(context, cell);
    if (this.brush.seen) this.drawBrush(context, cell);
  }

  drawPattern(context, cell) {
    const { width } = this.data;
    this.pattern.forEach((level, index) => {
      if (level === 0) return;
      context.fillStyle = LEVELS[level];
      context.fillRect((index % width) * cell, Math.floor(index / width) * cell, cell, cell);
    });
    this.outline(context, cell, this.data.colour, (row, column) =>
      row < 0 || column < 0 || row >= this.data.height || column >= width
        ? 0
        : this.pattern[row * width + column],
    );
  }

  // Edges between levels, so that white on a white wall and black in the dark are seen.
  outline(context, cell, colour, levelAt) {
    const { width, height } = this.data;
    context.beginPath();
    for (let row = 0; row <= height; row += 1) {
      for (let column = 0; column <= width; column += 1) {
        const level = levelAt(row, column);
        if (level !== levelAt(row - 1, column)) {
          context.moveTo(column * cell, row * cell);
          context.lineTo((column + 1) * cell, row * cell);
        }
        if (level !== levelAt(row, column - 1)) {
          context.moveTo(column * cell, row * cell);
          context.lineTo(column * cell, (row + 1) * cell);
        }
      }
    }
    context.strokeStyle = colour;
    context.lineWidth = Math.max(2, cell / 8);
    context.stroke();
  }

  drawBrush(context, cell) {
    const { width } = this.data;
    const under = new Set(this.touched(this.brush).map(({ row, column }) => row * width + column));
    const inside = (row, column) =>
      column >= 0 && column < width && under.has(row * width + column) ? 1 : 0;
    this.outline(context, cell, "#000", inside);
    context.lineWidth = Math.max(1, cell / 16);
    context.strokeStyle = "#fff";
    context.stroke();
  }

  end() {
    super.end();
    cancelAnimationFrame(this.frame);
  }
}

export default mounted(Painter);
