const STEPS_PER_SECOND = 2;
// A visitor who holds an arrow key down stops once, not at every step.
const RELEASED = 300;
const PLAY = "M8 5v14l11-7z";
const PAUSE = "M6 5h4v14H6zm8 0h4v14h-4z";
const HINT = "Play shows one step after the other; the arrow keys move the slider.";
const ALONE = "Only one time step: the answer comes at once, so there is nothing to play.";

class Player extends BaseView {
  constructor(root) {
    super(root);
    this.playing = false;
    this.touched = false;
    this.step = 1;
    this.columns = [];
    this.listen(this.find(".play"), "click", () => (this.playing ? this.pause() : this.play()));
    this.listen(this.find(".scrubber"), "input", () => this.scrub());
    this.listen(this.find(".scrubber"), "change", () => this.released());
  }

  update(data) {
    this.data = data;
    const alone = data.steps === 1;
    if (alone) this.halt();
    // Before anyone has moved it, the last step: the answer that the rest of the page shows.
    this.step = this.touched ? clamp(this.step, 1, data.steps) : data.steps;
    this.find(".scrubber").max = data.steps;
    for (const control of [".play", ".scrubber", ".speed select"]) {
      this.find(control).disabled = alone;
    }
    write(this.find(".hint"), alone ? ALONE : HINT);
    this.arrange(data.columns);
    this.show();
  }

  arrange(columns) {
    if (this.columns.length !== columns.length) {
      this.columns = columns.map(() => new Column());
      this.find(".columns").replaceChildren(...this.columns.map((column) => column.element));
      this.find(".columns").style.setProperty("--columns", columns.length);
    }
    this.columns.forEach((column, index) => column.update(columns[index], this.data));
  }

  play() {
    this.touched = true;
    this.playing = true;
    this.stop("send");
    this.button("Pause", PAUSE);
    if (this.step === this.data.steps) this.goTo(1);
    this.tick();
  }

  // From the last step on to the first: it is for people to watch, who look away at times.
  tick() {
    const speed = Number(this.find(".speed select").value);
    this.later("tick", 1000 / (STEPS_PER_SECOND * speed), () => {
      this.goTo((this.step % this.data.steps) + 1);
      this.tick();
    });
  }

  halt() {
    this.playing = false;
    this.stop("tick");
    this.button("Play", PLAY);
  }

  pause() {
    this.halt();
    this.announce();
    this.send("step", this.step);
  }

  scrub() {
    if (this.playing) this.halt();
    this.touched = true;
    this.stop("send");
    this.goTo(Number(this.find(".scrubber").value));
  }

  released() {
    this.later("send", RELEASED, () => {
      this.announce();
      this.send("step", this.step);
    });
  }

  goTo(step) {
    this.step = step;
    this.show();
  }

  show() {
    const label = `t = ${this.step} of ${this.data.steps}`;
    const scrubber = this.find(".scrubber");
    scrubber.value = this.step;
    scrubber.setAttribute("aria-valuetext", label);
    write(this.find(".step"), label);
    this.columns.forEach((column) => column.show(this.step));
  }

  announce() {
    const answers = this.columns.map((column) => column.text(this.step)).join(" ");
    write(this.find("[aria-live]"), `Step ${this.step} of ${this.data.steps}. ${answers}`);
  }

  button(label, path) {
    this.find(".play").setAttribute("aria-label", label);
    this.find(".play path").setAttribute("d", path);
  }
}

class Column {
  constructor() {
    this.element = make("article", "column");
    this.title = make("p", "title");
    this.frame = new Film();
    this.map = new Film();
    const pictures = make("div", "pictures");
    pictures.append(this.frame.element, this.map.element);
    this.answers = make("ol", "answers");
    this.rows = Array.from({ length: 4 }, () => new AnswerRow());
    this.answers.append(...this.rows.map((row) => row.element));
    this.element.append(this.title, pictures, this.answers);
  }

  update(data, { steps, layer }) {
    this.data = data;
    const fewer = data.steps < steps ? `, ${data.steps} ${data.steps > 1 ? "steps" : "step"} only` : "";
    this.element.style.setProperty("--colour", data.colour);
    this.element.setAttribute("aria-label", data.title);
    this.answers.setAttribute("aria-label", `${data.title}: answer so far`);
    write(this.title, data.title);
    this.title.title = data.title;
    this.frame.update(data.frame, `input${fewer}`, data.title);
    this.map.update(data.map, layer, data.title, data.colour);
  }

  // A network with fewer steps than the others stays at its last.
  index(step) {
    return Math.min(step, this.data.steps) - 1;
  }

  show(step) {
    const index = this.index(step);
    this.frame.show(index);
    this.map.show(index);
    const answers = this.data.answers[index];
    this.rows.forEach((row, place) => row.show(answers[place]));
  }

  text(step) {
    const [best] = this.data.answers[this.index(step)];
    return `${this.data.title}: ${best.name}, ${percent(best.share)}.`;
  }
}

class AnswerRow {
  constructor() {
    this.element = make("li");
    this.name = make("span", "name");
    this.fill = make("div", "fill");
    this.share = make("span", "share");
    const track = make("div", "track");
    track.append(this.fill);
    this.element.append(this.name, track, this.share);
  }

  show(answer) {
    this.element.className = answer ? (answer.right ? "right" : "") : "none";
    write(this.name, answer ? `${answer.name}${answer.right ? " ✓" : ""}` : "–");
    this.name.title = answer ? `${answer.name}${answer.right ? " (the true class)" : ""}` : "";
    write(this.share, answer ? percent(answer.share) : "");
    this.fill.style.width = answer ? `${100 * answer.share}%` : "0";
  }
}

// Pictures of all steps below each other in one image, of which one is shown.
class Film {
  constructor() {
    this.element = make("figure");
    this.canvas = make("canvas");
    this.canvas.setAttribute("role", "img");
    this.caption = make("figcaption", "quiet");
    this.element.append(this.canvas, this.caption);
    this.index = 0;
  }

  update(data, caption, title, dye) {
    write(this.caption, caption);
    this.caption.title = caption;
    this.label = `${title}, ${caption}`;
    const same = this.data?.strip === data.strip && this.dye === dye;
    this.data = data;
    this.dye = dye;
    if (!same) this.load(data);
  }

  async load(data) {
    const picture = await loadPicture(data.strip);
    if (data.strip !== this.data.strip) return;
    this.picture = picture;
    this.loaded = this.data;
    this.draw();
  }

  show(index) {
    this.index = index;
    this.canvas.setAttribute("aria-label", `${this.label}, step ${index + 1}`);
    if (this.loaded?.strip === this.data.strip) this.draw();
  }

  draw() {
    const { width, height } = this.loaded;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    context.globalCompositeOperation = "copy";
    context.drawImage(this.picture, 0, this.index * height, width, height, 0, 0, width, height);
    if (this.dye) {
      context.globalCompositeOperation = "source-in";
      context.fillStyle = this.dye;
      context.fillRect(0, 0, width, height);
    }
  }
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

export default mounted(Player);
