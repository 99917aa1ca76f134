const SHOWN = 2000;

class LinkButton extends BaseView {
  constructor(root) {
    super(root);
    this.listen(this.find("button"), "click", () => this.copy());
  }

  update() {}

  async copy() {
    const done = await copyText(window.location.href);
    this.say(
      done ? "Copied" : "Not copied",
      done ? "The link is copied." : "The browser refused; copy the address from its address bar.",
    );
    this.later("back", SHOWN, () => this.say("Copy link", ""));
  }

  say(label, announcement) {
    write(this.find(".label"), label);
    write(this.find("[role=status]"), announcement);
    this.find("button").title = announcement;
  }
}

// Only pages served over https (or from this machine) may write to the clipboard directly.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const field = make("textarea");
  field.value = text;
  field.style.cssText = "position: fixed; opacity: 0";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  (focused?.shadowRoot?.querySelector("button") ?? focused)?.focus({ preventScroll: true });
  return done;
}

export default mounted(LinkButton);
