// What scripts add to pages that work without them: questions in a dialog, search as you type, times
// in the visitor's zone, and passwords that can be shown and copied.

// The steps of the server's own words (src/web/time.rs).
const UNITS = [["year", 31_536_000, 63_072_000], ["month", 2_592_000, 5_184_000], ["day", 86_400], ["hour", 3600], ["minute", 60]];
// Relative times are words inside English sentences. Dates are the visitor's.
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const UNREACHABLE = "The server can’t be reached. Check the connection and try again.";

const parse = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// Times: "3 days ago", and exactly once the visitor taps on one or presses the button below the page.

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

// Dates that one filters by are days of the visitor's time zone.
function setZone(root) {
  // Dates that are set already are of the zone that they came with.
  const asked = new URLSearchParams(location.search);
  const isSet = (asked.has("from") || asked.has("to")) && !asked.has("tz");
  for (const input of root.querySelectorAll("[data-tz]")) if (!isSet) input.value ||= zone;
  for (const link of root.querySelectorAll("a[data-zoned]")) {
    const url = new URL(link.href);
    if (!url.searchParams.has("tz")) url.searchParams.set("tz", zone);
    link.href = url;
  }
}

// A button beside each password that shows it, and one that copies a generated one.

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
    // A browser must not remember it as a text.
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
      // Browsers have a clipboard for scripts on https and this machine only.
      const isCopied = await (navigator.clipboard?.writeText(code.textContent) ?? Promise.reject())
        .then(() => true, () => document.execCommand("copy"));
      button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
    });
    code.after(" ", button);
  }
}

// Check boxes: one for the whole page, the number that is ticked, and then all that match.

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
        words.textContent = "All that match are selected";
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
    // A browser that goes back ticks them again, later than this.
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

// A message on top of the page, as those of actions are.
function say(...message) {
  const alert = make("p", { className: "alert bad", tabIndex: -1 }, ...message);
  alert.setAttribute("role", "alert");
  document.querySelector("main > [role=status]").replaceChildren(alert);
  return alert;
}

// Whether an answer is the sign-in page, where the session has expired.
const isSignIn = (answer) => answer.redirected && new URL(answer.url).pathname === "/admin/login";

function signIn(here) {
  const link = make("a", { href: `/admin/login?next=${encodeURIComponent(here)}`, textContent: "Sign in" });
  return ["Your session has expired. ", link, " to go on."];
}

const here = () => location.pathname + location.search;
// The address of what is shown, which going back leaves behind.
let shown = here();

// Questions: the page that asks is shown in a dialog.

// Shows the page that an action has led to. The list keeps its place, the message gets the focus.
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
    this.dialog.setAttribute("aria-label", "Question");
    this.abort = new AbortController();
    this.dialog.addEventListener("close", () => {
      this.abort.abort();
      this.dialog.remove();
    });
    // A click beside the dialog closes it, but not at the end of a drag, nor where something was typed.
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

  // A sentence instead of the question.
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
      // An action that led elsewhere says so on the page that it led to.
      if (!question && answer.redirected) return goTo(answer.url, page);
      if (!question) return this.note(page.querySelector("[data-detail]")?.textContent ?? "Something went wrong.");
      this.show(document.adoptNode(question));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.fail(answer ? "The answer of the server could not be read." : UNREACHABLE);
    }
  }

  show(question) {
    this.dialog.replaceChildren(question);
    this.dialog.removeAttribute("aria-label");
    this.dialog.setAttribute("aria-labelledby", "question");
    enliven(this.dialog);
    const wrong = this.markWrong();
    // What is asked for, else the way out: never by accident what can't be undone.
    const field = wrong ?? this.dialog.querySelector("input:not([type=hidden], [hidden], [name=note])");
    (field ?? this.dialog.querySelector("[data-cancel]"))?.focus();
  }

  // Ties what is wrong to its field, which it gives.
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
    [button.disabled, button.textContent] = [true, "One moment…"];
    await this.load(form.getAttribute("action"), { method: "POST", body });
    if (button.isConnected) [button.disabled, button.textContent] = [false, words];
  }

  // Nothing came back: what was typed stays.
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

// A second click while a question is open asks nothing.
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
  // By attribute: a field called `action` would stand in the property's place.
  ask(button.getAttribute("formaction") ?? form.getAttribute("action"), { method: "POST", body });
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A form on a page of its own is sent once.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || !event.target.closest(".confirm") || !event.submitter) return;
  const button = event.submitter;
  // Afterwards, or its own value would not be sent.
  setTimeout(() => { button.disabled = true; });
  addEventListener("pageshow", () => { button.disabled = false; }, { once: true });
});

// Search as you type: the results are replaced, the field keeps the focus.

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
    // Dates take the place of "last 7 days".
    if (event.target.type === "date") form.querySelector("[name=last]")?.remove();
    clearTimeout(waiting);
    waiting = setTimeout(search, 200);
  });
  form.addEventListener("submit", () => clearTimeout(waiting));
}

// Leaves out of the URL what it goes without: the order that the list has anyway, the zone of no date.
function isNeeded(form, name) {
  if (name === "tz") return [...form.querySelectorAll("[type=date], [name=last]")].some((field) => field.value);
  const isAsked = new URLSearchParams(location.search).has(name);
  return name !== "sort" || isAsked || [...form.elements.sort.options].some((one) => one.selected !== one.defaultSelected);
}

function replace(results, found, page, url) {
  document.querySelector("main > [role=status]").replaceChildren();
  // The line that is read out stays in the page, so that its change is announced.
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
  document.querySelector("[data-flash]")?.focus({ preventScroll: true });
}

begin();
setInterval(() => tellTimes(document), 30_000);
