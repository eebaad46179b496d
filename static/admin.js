// Enhancements of pages that also work without scripts: confirmation dialogs, search as you type, times in the user's
// time zone, and buttons that show and copy passwords.

// The same steps as on the server (engine/src/web/time.rs).
const UNITS = [["year", 31_536_000, 63_072_000], ["month", 2_592_000, 5_184_000], ["day", 86_400], ["hour", 3600], ["minute", 60]];
// Relative times are part of English sentences. Dates use the user's locale.
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const UNREACHABLE = "Cannot reach the server. Check your connection and try again.";

const parse = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// Times: "3 days ago", or exact after a tap on one or the button below the page.

let isExact = false;

function distance(seconds) {
  const size = Math.abs(seconds);
  const [unit, length] = UNITS.find(([, length, from]) => size >= (from ?? length)) ?? [];
  return unit ? relative.format(Math.trunc(seconds / length), unit) : "just now";
}

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const far = distance((at - Date.now()) / 1000);
    const isAbsolute = "absolute" in time.dataset;
    time.textContent = isAbsolute ? exact.format(at) : isExact ? short.format(at) : far;
    time.title = isAbsolute ? far : exact.format(at);
  }
}

function toggleTimes() {
  isExact = !isExact;
  document.documentElement.dataset.times = isExact ? "exact" : "relative";
  tellTimes(document);
  document.querySelector("button[data-times]")?.setAttribute("aria-pressed", isExact);
}

function tellZone() {
  const note = document.querySelector("[data-zone]");
  if (!note) return;
  note.textContent = `Times are in your time zone, ${zone}.`;
  const button = make("button", { type: "button", className: "plain", textContent: "Show exact times", onclick: toggleTimes });
  button.dataset.times = "";
  button.setAttribute("aria-pressed", isExact);
  note.after(button);
}

// Date filters are days in the user's time zone.
function setZone(root) {
  // Dates that are already set keep the zone of the URL.
  const asked = new URLSearchParams(location.search);
  const isSet = (asked.has("from") || asked.has("to")) && !asked.has("tz");
  for (const input of root.querySelectorAll("[data-tz]")) if (!isSet) input.value ||= zone;
  for (const link of root.querySelectorAll("a[data-zoned]")) {
    const url = new URL(link.href);
    if (!url.searchParams.has("tz")) url.searchParams.set("tz", zone);
    link.href = url;
  }
}

// Buttons that show a password and copy a generated one.

function offerToShow(root) {
  for (const frame of root.querySelectorAll(".secret")) {
    const input = frame.querySelector("input");
    const button = make("button", { type: "button", className: "btn" });
    const set = (shown) => {
      input.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-label", shown ? "Hide the password" : "Show the password");
    };
    button.addEventListener("click", () => set(input.type === "password"));
    // The browser must not remember the password as text.
    input.form.addEventListener("submit", () => set(false));
    addEventListener("pagehide", () => set(false));
    set(false);
    frame.append(button);
  }
}

function offerToCopy(root) {
  for (const code of root.querySelectorAll("[data-copy]")) {
    const button = make("button", { type: "button", className: "btn small", textContent: "Copy" });
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(code);
      // Scripts have the clipboard only on https and localhost.
      const isCopied = await (navigator.clipboard?.writeText(code.textContent) ?? Promise.reject())
        .then(() => true, () => document.execCommand("copy"));
      button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
    });
    code.after(" ", button);
  }
}

// Check boxes: one for the whole page, the number of ticked ones, and all matching rows.

function countTicks(root) {
  for (const form of root.querySelectorAll("form[data-many]")) {
    const ticks = [...form.querySelectorAll("input[name=id]")];
    const words = form.querySelector("[data-selected]");
    const buttons = form.querySelectorAll(".bulk button");
    const all = make("input", { type: "checkbox" });
    all.setAttribute("aria-label", "Select all on this page");
    const label = make("label", {}, all);
    words.before(label);
    label.append(words);
    const everything = root.querySelector("form[data-all]");
    const more = make("button", { type: "button", className: "plain", hidden: true });
    if (everything) {
      everything.hidden = true;
      more.textContent = everything.dataset.all;
      form.querySelector(".bulk").append(more);
      more.addEventListener("click", () => {
        form.dataset.everything = "";
        words.textContent = "All matching tokens are selected";
        more.hidden = true;
      });
    }
    const count = () => {
      const ticked = ticks.filter((tick) => tick.checked).length;
      delete form.dataset.everything;
      words.textContent = ticked ? `${ticked} selected` : "Select all";
      all.checked = ticked > 0 && ticked === ticks.length;
      all.indeterminate = ticked > 0 && ticked < ticks.length;
      more.hidden = !all.checked;
      for (const button of buttons) button.disabled = ticked === 0;
    };
    all.addEventListener("change", () => {
      for (const tick of ticks) tick.checked = all.checked;
    });
    form.addEventListener("change", count);
    // After going back, the browser restores the check boxes later than this.
    addEventListener("pageshow", count);
    count();
  }
}

function offerToDismiss(root) {
  for (const flash of root.querySelectorAll("[data-flash]")) {
    const dismiss = () => flash.remove();
    flash.append(make("button", { type: "button", className: "plain", textContent: "Dismiss", onclick: dismiss }));
  }
}

function enliven(root) {
  tellTimes(root);
  setZone(root);
  offerToShow(root);
  offerToCopy(root);
  offerToDismiss(root);
  countTicks(root);
  for (const form of root.querySelectorAll("form[data-live]")) liveSearch(form);
}

// Shows a message at the top of the page, like a flash message.
function say(...message) {
  const alert = make("p", { className: "alert bad", tabIndex: -1 }, ...message);
  alert.setAttribute("role", "alert");
  document.querySelector("main > [role=status]").replaceChildren(alert);
  return alert;
}

// Whether the response is the sign-in page, because the session expired or was revoked.
const isSignIn = (answer) => answer.redirected && new URL(answer.url).pathname === "/admin/login";

function signIn(here) {
  const link = make("a", { href: `/admin/login?next=${encodeURIComponent(here)}`, textContent: "Sign in" });
  return ["Your session has expired. ", link, " to continue."];
}

const here = () => location.pathname + location.search;
// The URL of the content that is shown. Going back changes `location` first.
let shown = here();

// Confirmation pages in a dialog.

// Shows the page that an action redirected to. The same list keeps its scroll position. The message gets the focus.
function goTo(url, page) {
  const [path, isHere] = [new URL(url), url === location.href];
  history[isHere ? "replaceState" : "pushState"](null, "", path);
  shown = here();
  document.title = page.title;
  document.body.replaceWith(document.adoptNode(page.body));
  if (!isHere) scrollTo(0, 0);
  begin();
}
addEventListener("popstate", () => { if (here() !== shown) location.reload(); });

const focusable = "input:not([type=hidden], [hidden]), select, textarea";

class Question {
  constructor() {
    this.dialog = make("dialog", { className: "ask" });
    this.dialog.setAttribute("aria-label", "Confirmation");
    this.abort = new AbortController();
    this.dialog.addEventListener("close", () => {
      this.abort.abort();
      this.dialog.remove();
    });
    // A click beside the dialog closes it, unless it ends a drag or a field has text.
    let pressed = null;
    this.dialog.addEventListener("pointerdown", (event) => { pressed = event.target; });
    this.dialog.addEventListener("click", (event) => {
      const isTyped = [...this.dialog.querySelectorAll(focusable)].some((field) => field.value);
      const isBeside = event.target === this.dialog && pressed === this.dialog && !isTyped;
      if (isBeside || event.target.closest("[data-cancel]")) {
        event.preventDefault();
        this.dialog.close();
      }
    });
    this.dialog.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.send(event.target, event.submitter);
    });
    document.body.append(this.dialog);
    this.note("Loading…");
    this.dialog.showModal();
  }

  // Shows a sentence in place of the form.
  note(...message) {
    const text = make("p", { tabIndex: -1 }, ...message);
    text.setAttribute("role", "status");
    const close = make("button", { type: "button", className: "btn", textContent: "Close" });
    close.dataset.cancel = "";
    this.dialog.replaceChildren(make("section", { className: "confirm card" }, text, make("p", {}, close)));
    close.focus();
  }

  async load(url, options) {
    let answer;
    try {
      answer = await fetch(url, { ...options, signal: this.abort.signal });
      const page = await parse(answer);
      if (!this.dialog.open) return;
      if (isSignIn(answer)) return this.note(...signIn(here()));
      const question = page.querySelector("section.confirm");
      // The page after a redirect has the flash message.
      if (!question && answer.redirected) return goTo(answer.url, page);
      if (!question) return this.note(page.querySelector("[data-detail]")?.textContent ?? "Something went wrong.");
      this.show(document.adoptNode(question));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.fail(answer ? "The response of the server could not be read." : UNREACHABLE);
    }
  }

  show(question) {
    this.dialog.replaceChildren(question);
    this.dialog.removeAttribute("aria-label");
    this.dialog.setAttribute("aria-labelledby", "question");
    enliven(this.dialog);
    const wrong = this.markWrong();
    // Focus the first field, or else the cancel button, so that nothing irreversible happens by accident.
    const field = wrong ?? this.dialog.querySelector("input:not([type=hidden], [hidden], [name=note])");
    (field ?? this.dialog.querySelector("[data-cancel]"))?.focus();
  }

  // Associates the errors with their fields. Returns the first such field.
  markWrong() {
    const errors = this.dialog.querySelectorAll("#errors > p");
    const fields = [...this.dialog.querySelectorAll(focusable)];
    let first = null;
    for (const [index, error] of errors.entries()) {
      const named = fields.find((field) => field.name === error.dataset.field);
      const fits = (field) => error.textContent.toLowerCase().includes(field.type);
      const field = named ?? fields.find(fits) ?? fields[0];
      error.id = `error-${index}`;
      field?.setAttribute("aria-invalid", "true");
      field?.setAttribute("aria-describedby", [error.id, field.getAttribute("aria-describedby") ?? ""].join(" ").trim());
      first ??= field;
    }
    return first;
  }

  async send(form, button) {
    const body = new URLSearchParams(new FormData(form, button));
    const words = button.textContent;
    [button.disabled, button.textContent] = [true, "Working…"];
    await this.load(form.getAttribute("action"), { method: "POST", body });
    if (button.isConnected) [button.disabled, button.textContent] = [false, words];
  }

  // Without a response, the form keeps its text.
  fail(message) {
    const form = this.dialog.querySelector("form");
    if (!form) return this.note(message);
    this.dialog.querySelector("[data-failure]")?.remove();
    const alert = make("p", { className: "alert bad", textContent: message });
    alert.setAttribute("role", "alert");
    alert.dataset.failure = "";
    form.before(alert);
  }
}

// A click while a dialog is open has no effect.
function ask(url, options) {
  if (!document.querySelector("dialog.ask[open]")) new Question().load(url, options);
}

document.addEventListener("click", (event) => {
  const isPlain = !event.defaultPrevented && event.button === 0
    && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const link = event.target.closest("a[data-ask]");
  if (link && isPlain) {
    event.preventDefault();
    link.closest("details.menu")?.removeAttribute("open");
    ask(link.href);
  }
  if (event.target.closest("time") && !event.target.closest("a")) toggleTimes();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || !("ask" in button.dataset)) return;
  event.preventDefault();
  const isAll = "everything" in event.target.dataset;
  const form = isAll ? document.querySelector("form[data-all]") : event.target;
  const body = new URLSearchParams(isAll ? new FormData(form) : new FormData(form, button));
  // The attribute, because a field called `action` would shadow the property.
  ask(button.getAttribute("formaction") ?? form.getAttribute("action"), { method: "POST", body });
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A form on a confirmation page is sent only once.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || !event.target.closest(".confirm") || !event.submitter) return;
  const button = event.submitter;
  // Deferred, because a disabled button's value is not sent.
  setTimeout(() => { button.disabled = true; });
  addEventListener("pageshow", () => { button.disabled = false; }, { once: true });
});

// Search as you type replaces the results. The field keeps the focus.

function liveSearch(form) {
  let waiting = null;
  let running = null;
  const search = async () => {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const typed = [...new FormData(form)].filter(([name, value]) => value !== "" && isNeeded(form, name));
    const path = form.getAttribute("action");
    const url = typed.length ? `${path}?${new URLSearchParams(typed)}` : path;
    const results = document.querySelector("[data-results]");
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, { signal });
      const page = await parse(answer);
      const found = page.querySelector("[data-results]");
      if (isSignIn(answer)) say(...signIn(url));
      else if (!found) say(page.querySelector("[data-detail]")?.textContent ?? "Something went wrong.");
      else replace(results, found, page, url);
    } catch (error) {
      if (error.name === "AbortError") return;
      say(UNREACHABLE);
    }
    if (!signal.aborted) results.removeAttribute("aria-busy");
  };
  form.addEventListener("input", (event) => {
    // Dates replace a preset such as "last 7 days".
    if (event.target.type === "date") form.querySelector("[name=last]")?.remove();
    clearTimeout(waiting);
    waiting = setTimeout(search, 200);
  });
  form.addEventListener("submit", () => clearTimeout(waiting));
}

// Leaves redundant parameters out of the URL: the default order, and the zone without dates.
function isNeeded(form, name) {
  if (name === "tz") return [...form.querySelectorAll("[type=date], [name=last]")].some((field) => field.value);
  const isAsked = new URLSearchParams(location.search).has(name);
  return name !== "sort" || isAsked || [...form.elements.sort.options].some((one) => one.selected !== one.defaultSelected);
}

function replace(results, found, page, url) {
  document.querySelector("main > [role=status]").replaceChildren();
  // The status line stays in the page, so that screen readers announce its change.
  const [line, words] = [results, found].map((root) => root.querySelector("[role=status]"));
  results.replaceChildren(...[...found.childNodes].map((node) => document.adoptNode(node)));
  if (line && words) {
    line.replaceChildren(...words.childNodes);
    words.replaceWith(line);
  }
  for (const part of ["[data-csv]", "[data-filters]"]) {
    const [old, fresh] = [document, page].map((root) => root.querySelector(part));
    if (old && fresh) old.replaceWith(document.adoptNode(fresh));
  }
  for (const next of document.querySelectorAll("input[name=next]")) next.value = url;
  history.replaceState(null, "", url);
  shown = here();
  enliven(results);
}

function begin() {
  enliven(document);
  tellZone();
  // On a phone, the menu scrolls horizontally.
  document.querySelector(".bar nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  document.querySelector("[data-flash]")?.focus({ preventScroll: true });
}

begin();
setInterval(() => tellTimes(document), 30_000);
