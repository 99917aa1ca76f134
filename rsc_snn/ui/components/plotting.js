const ENLARGE = {
  name: "enlarge",
  title: "Fill the screen, and back",
  icon: { width: 24, height: 24, path: "M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z" },
  click: (drawing) => {
    if (document.fullscreenElement) document.exitFullscreen();
    else drawing.closest(".rsc-plot").requestFullscreen();
  },
};

// What a saved picture is drawn with, whatever the theme of the page: it will lie on a slide or on
// paper. The colours are those of the light theme.
const PAPER = { text: "#17212b", back: "#ffffff", line: "#d5dde6", tools: "#17212b" };

// All of plotly's own. To say instead which buttons there are, as `modeBarButtons`, makes plotly take
// each change of the figure for one of the buttons too, and draw it from nothing: twice the time.
const PLOTLYS = [
  "zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d",
  "resetViews", "toImage", "toggleHover", "toggleSpikelines", "hoverClosestCartesian",
  "hoverCompareCartesian",
];

// plotly's own button draws the picture with the page's colours on no ground.
function saveButton(Plotly, view) {
  return {
    name: "save",
    title: "Save as a picture",
    icon: Plotly.Icons.camera,
    click: (drawing) => {
      const { width, height } = drawing.layout;
      const ground = { paper_bgcolor: PAPER.back, plot_bgcolor: PAPER.back };
      const paper = template(PAPER, view.style("--st-font"));
      const layout = { ...drawing.layout, ...ground, template: paper };
      const options = view.data.config.toImageButtonOptions;
      Plotly.downloadImage({ data: drawing.data, layout }, { ...options, width, height });
    },
  };
}

// plotly's template of figures with these colours.
function template({ text, back, line, tools }, family) {
  const font = { color: text, family };
  const axes = { color: text, zerolinecolor: line };
  return {
    data: { bar: [{ error_x: { color: text } }] },
    layout: {
      font,
      xaxis: axes,
      yaxis: axes,
      hoverlabel: { bgcolor: back, bordercolor: line, font },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: tools, activecolor: text },
    },
  };
}

// plotly may report one tap twice within so many milliseconds.
const SAME_TAP = 400;

class Plot extends BaseView {
  constructor(root) {
    super(root);
    this.drawing = this.find(".drawing");
    this.waiting = Promise.resolve();
    this.onResize(this.drawing, () => this.later("resize", 60, () => this.draw()));
    this.listen(document, "fullscreenchange", () => this.later("resize", 60, () => this.draw()));
  }

  update(data) {
    this.data = data;
    // The place has its height before the library is there, so that nothing jumps.
    this.drawing.style.height = `${data.height}px`;
    this.drawing.setAttribute("aria-label", data.alt);
    this.draw();
  }

  // One drawing at a time, only the newest of those that wait, and only if it shows anything new.
  draw() {
    const turn = this.turn;
    this.waiting = this.waiting
      .then(() => plotly(this.data.script))
      .then((Plotly) => (turn === this.turn && this.width() > 0 ? this.react(Plotly) : null))
      .catch((problem) => this.fail(problem));
  }

  async react(Plotly) {
    const wanted = JSON.stringify([this.data, this.width(), this.theme(), this.enlarged()]);
    if (wanted === this.shown) return;
    const { data, layout } = JSON.parse(this.data.spec);
    this.buttons ??= [saveButton(Plotly, this), ENLARGE];
    const config = {
      ...this.data.config,
      responsive: false,
      showSendToCloud: false,
      modeBarButtonsToRemove: PLOTLYS,
      modeBarButtonsToAdd: this.buttons,
    };
    layout.width = this.width();
    if (this.enlarged()) layout.height = innerHeight - 64;
    layout.template = this.theme();
    await Plotly.react(this.drawing, data, layout, config);
    this.find(".problem").hidden = true;
    if (!this.shown) this.drawing.on("plotly_click", (event) => this.clicked(event));
    this.shown = wanted;
    this.drawing.dispatchEvent(new CustomEvent("rsc-drawn", { bubbles: true, composed: true }));
  }

  // Where a finger points, the first tap on a point shows its text, as the mouse does by hovering.
  clicked(event) {
    const chosen = event.points.find((point) => typeof point.customdata?.at(-1) === "string");
    if (!chosen) return;
    const point = chosen.customdata.at(-1);
    const again = point === this.tapped && performance.now() - this.tappedAt > SAME_TAP;
    if (again || matchMedia("(hover: hover)").matches) {
      this.component.setTriggerValue("point", point);
    } else if (point !== this.tapped) {
      this.tapped = point;
      this.tappedAt = performance.now();
    }
  }

  enlarged() {
    return document.fullscreenElement === this.find(".rsc-plot");
  }

  width() {
    return Math.floor(this.drawing.clientWidth);
  }

  theme() {
    const text = this.style("--st-text-color");
    const back = this.style("--st-background-color");
    const line = this.style("--st-border-color");
    const tools = this.style("--st-gray-color") || text;
    return template({ text, back, line, tools }, this.style("--st-font"));
  }

  fail(problem) {
    console.error(problem);
    this.find(".problem").hidden = Boolean(this.shown);
  }

  end() {
    super.end();
    plotly(this.data.script).then((Plotly) => Plotly.purge(this.drawing), () => {});
  }
}

// Once a page, whatever number of figures it has. The framework's own script says where the app
// is, which a proxy may have put anywhere.
function plotly(path) {
  if (!window.rscPlotly) {
    window.rscPlotly = new Promise((resolve, reject) => {
      const own = document.querySelector('script[src*="static/js/"]').src;
      const script = make("script");
      script.src = own.slice(0, own.indexOf("/static/js/")) + path;
      script.addEventListener("load", () => resolve(window.Plotly));
      script.addEventListener("error", () => {
        window.rscPlotly = undefined;
        reject(new Error("plotly did not load"));
      });
      document.head.append(script);
    });
  }
  return window.rscPlotly;
}

export default mounted(Plot);
