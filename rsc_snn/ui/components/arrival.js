const PATIENCE = 50;
const PAUSE = 100;
const WORD = "#glossary-";

class Arrival extends BaseView {
  constructor(root) {
    super(root);
    this.count = 0;
    this.left = null;
    this.listen(document, "click", (event) => this.click(event));
    this.listen(window, "hashchange", () => this.walk());
  }

  update(data) {
    if (data.count === this.count) return;
    this.count = data.count;
    this.left = null;
    this.later("go", 0, () => this.go(data.anchor, PATIENCE));
  }

  // A word of the text leads far down to the glossary: remember where the visitor left the text.
  click(event) {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link?.getAttribute("href")?.startsWith(WORD)) this.left = this.area().scrollTop;
    if (link?.matches(".rsc-back") && this.left !== null) {
      event.preventDefault();
      this.area().scrollTop = this.left;
    }
  }

  // The browser's Back and Forward change the address alone, for the page scrolls in an element.
  walk() {
    if (location.hash.startsWith(WORD)) {
      document.getElementById(location.hash.slice(1))?.scrollIntoView();
    } else if (this.left !== null) {
      this.area().scrollTop = this.left;
    }
  }

  area() {
    return document.querySelector('[data-testid="stMain"]');
  }

  // What is below this component reaches the page after it.
  go(anchor, tries) {
    const area = this.area();
    const place = anchor ? document.getElementById(anchor) : area;
    if (place === null) {
      if (tries > 0) this.later("go", PAUSE, () => this.go(anchor, tries - 1));
    } else if (place === area) {
      area.scrollTop = 0;
      // So that the next press of Tab goes on from there.
      area.focus({ preventScroll: true });
    } else {
      place.scrollIntoView({ block: "center" });
      place.classList.add("rsc-here");
    }
  }
}

export default mounted(Arrival);
