// What all components share; it is put before the script of each.

// One place of a page. The framework calls a component's function again whenever its data or the
// theme changed, in the same place, and keeps only the clean-up that was returned last.
const views = new WeakMap();

function mounted(View) {
  return (component) => {
    const root = component.parentElement;
    const view = views.get(root) ?? new View(root);
    views.set(root, view);
    view.turn += 1;
    const turn = view.turn;
    view.component = component;
    view.update(component.data);
    return () => {
      if (view.turn === turn) {
        views.delete(root);
        view.end();
      }
    };
  };
}

class BaseView {
  constructor(root) {
    this.root = root;
    this.turn = 0;
    this.ending = new AbortController();
    this.timers = new Map();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  listen(element, types, act) {
    for (const type of types.split(" ")) {
      element.addEventListener(type, act, { signal: this.ending.signal, passive: false });
    }
  }

  // Do something later, once; a new call of the same name replaces the one that waits.
  later(name, milliseconds, act) {
    this.stop(name);
    this.timers.set(name, setTimeout(act, milliseconds));
  }

  stop(name) {
    clearTimeout(this.timers.get(name));
    this.timers.delete(name);
  }

  send(name, value) {
    this.component.setStateValue(name, value);
  }

  // A theme's colour or font, as the browser computed it for this place.
  style(property) {
    return getComputedStyle(this.find(".rsc")).getPropertyValue(property).trim();
  }

  onResize(element, act) {
    const observer = new ResizeObserver(act);
    observer.observe(element);
    this.ending.signal.addEventListener("abort", () => observer.disconnect());
  }

  end() {
    this.ending.abort();
    this.timers.forEach((timer) => clearTimeout(timer));
    this.timers.clear();
  }
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className ?? "";
  if (text !== undefined) element.textContent = text;
  return element;
}

// Text is set only where it changed, so that nothing is laid out or read aloud again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function base64Of(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

// Values 0..3, four a byte, the first in the lowest bits.
function unpackCodes(base64, count) {
  const packed = bytesOf(base64);
  const codes = new Uint8Array(count);
  for (let i = 0; i < count; i += 1) codes[i] = (packed[i >> 2] >> (2 * (i & 3))) & 3;
  return codes;
}

function packCodes(codes) {
  const packed = new Uint8Array(Math.ceil(codes.length / 4));
  for (let i = 0; i < codes.length; i += 1) packed[i >> 2] |= codes[i] << (2 * (i & 3));
  return base64Of(packed);
}

async function loadPicture(link) {
  const picture = new Image();
  picture.src = link;
  await picture.decode();
  return picture;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

function counted(number) {
  return number.toLocaleString("en-US");
}

function savePicture(canvas, name) {
  canvas.toBlob((content) => {
    const link = make("a");
    link.href = URL.createObjectURL(content);
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
