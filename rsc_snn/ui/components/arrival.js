const PATIENCE = 50;
const PAUSE = 100;

class Arrival extends BaseView {
  constructor(root) {
    super(root);
    this.count = 0;
  }

  update(data) {
    if (data.count === this.count) return;
    this.count = data.count;
    this.later("go", 0, () => this.go(data.anchor, PATIENCE));
  }

  // What is below this component reaches the page after it.
  go(anchor, tries) {
    const area = document.querySelector('[data-testid="stMain"]');
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
