// What a script adds to pages that work without one: questions in a dialog, search as you type,
// times that keep up, passwords shown on request. Nothing here is needed for anything.

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });

function distance(seconds) {
  const size = Math.abs(seconds);
  // The same steps as the server's.
  const [unit, length] = UNITS.find(([unit, length]) =>
    size >= (unit === "year" ? 730 * 86_400 : unit === "month" ? 60 * 86_400 : length)) ?? [];
  return unit ? relative.format(Math.trunc(seconds / length), unit) : "just now";
}

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const far = distance((at - Date.now()) / 1000);
    const local = at.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
    if ("absolute" in time.dataset) {
      time.textContent = at.toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" });
      time.title = `${local}, ${far}`;
    } else {
      time.textContent = far;
      time.title = local;
    }
  }
}

function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const note of document.querySelectorAll("[data-zone]")) {
    note.textContent = `Times are in your time zone, ${zone}.`;
  }
}

// A button beside each password that shows it.
function offerToShow(root) {
  for (const frame of root.querySelectorAll(".secret")) {
    const input = frame.querySelector("input");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-outline-secondary";
    const set = (shown) => {
      input.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-label", shown ? "Hide the password" : "Show the password");
    };
    button.addEventListener("click", () => set(input.type === "password"));
    // A browser must not take it for a text to remember.
    input.form.addEventListener("submit", () => set(false));
    addEventListener("pagehide", () => set(false));
    set(false);
    frame.append(button);
  }
}

// A tick for all rows, and how many are ticked.
function countTicks(root) {
  for (const form of root.querySelectorAll("form[data-many]")) {
    const ticks = [...form.querySelectorAll("input[name=id]")];
    const words = form.querySelector("[data-selected]");
    const buttons = form.querySelectorAll(".bulk button");
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", "Select all on this page");
    const label = document.createElement("label");
    label.append(all, " Select all");
    words.before(label);
    const count = () => {
      const ticked = ticks.filter((tick) => tick.checked).length;
      words.textContent = ticked ? `${ticked} selected` : "None selected";
      all.checked = ticked > 0 && ticked === ticks.length;
      all.indeterminate = ticked > 0 && ticked < ticks.length;
      for (const button of buttons) button.disabled = ticked === 0;
    };
    all.addEventListener("change", () => {
      for (const tick of ticks) tick.checked = all.checked;
      count();
    });
    form.addEventListener("change", count);
    // A browser that comes back puts the ticks back, later than this.
    addEventListener("pageshow", count);
    count();
  }
}

function enliven(root) {
  tellTimes(root);
  offerToShow(root);
  countTicks(root);
}

// The page that asks, as a dialog. Whatever else comes back (a redirect, an error) is left to the
// browser: `otherwise` goes there as if there were no script.
let asking = false;
async function ask(url, options, otherwise) {
  // A second click while the first is on its way asks nothing.
  if (asking || document.querySelector("dialog.ask[open]")) return;
  asking = true;
  let question = null;
  try {
    const answer = await fetch(url, { redirect: "manual", ...options });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      question = page.querySelector("section.confirm");
    }
  } catch { /* no connection: the browser says so better */ } finally {
    asking = false;
  }
  if (!question) return otherwise();
  const dialog = document.createElement("dialog");
  dialog.className = "ask";
  dialog.setAttribute("aria-labelledby", "question");
  dialog.append(document.adoptNode(question));
  document.body.append(dialog);
  enliven(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  // Beside the dialog, but not at the end of a drag, nor where something was typed.
  let pressed = null;
  dialog.addEventListener("pointerdown", (event) => { pressed = event.target; });
  dialog.addEventListener("click", (event) => {
    const typed = [...dialog.querySelectorAll("input:not([type=hidden], [hidden])")].some((input) => input.value);
    const beside = event.target === dialog && pressed === dialog && !typed;
    if (beside || event.target.closest("[data-cancel]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.showModal();
  // What is asked for, else the way out: never by accident what can't be undone.
  const field = dialog.querySelector("input:not([type=hidden], [hidden])");
  (field ?? dialog.querySelector("[data-cancel]"))?.focus();
}

document.addEventListener("click", (event) => {
  const plain = !event.defaultPrevented && event.button === 0
    && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const link = event.target.closest("a[data-ask]");
  if (link && plain) {
    event.preventDefault();
    ask(link.href, {}, () => { location.href = link.href; });
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A question that was answered is not answered twice while the answer is worked on.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.closest(".confirm") || event.defaultPrevented) return;
  const button = form.querySelector("button[type=submit]");
  setTimeout(() => {
    button.disabled = true;
    button.dataset.says = button.textContent;
    button.textContent = "One moment …";
  });
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-says]")) {
    button.disabled = false;
    button.textContent = button.dataset.says;
  }
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || !("ask" in button.dataset) || "asked" in button.dataset) return;
  event.preventDefault();
  const form = event.target;
  const otherwise = () => {
    button.dataset.asked = "";
    form.requestSubmit(button);
    delete button.dataset.asked;
  };
  const body = new URLSearchParams(new FormData(form, button));
  // By attribute: a field called `action` would stand in the property's place.
  const url = button.getAttribute("formaction") ?? form.getAttribute("action");
  ask(url, { method: "POST", body }, otherwise);
});

// Search as you type: the results are replaced, what is typed into keeps the focus.
function liveSearch(form) {
  let waiting = null;
  let running = null;
  const search = async () => {
    running?.abort();
    running = new AbortController();
    const typed = [...new FormData(form)].filter(([, value]) => value !== "");
    const path = form.getAttribute("action");
    const url = typed.length ? `${path}?${new URLSearchParams(typed)}` : path;
    try {
      const answer = await fetch(url, { redirect: "manual", signal: running.signal });
      if (!answer.ok) {
        form.requestSubmit();
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const [before, after] = [document, page].map((root) => root.querySelector("[data-results]"));
      // The line that is read out stays, so that it is.
      const [line, words] = [before, after].map((root) => root.querySelector("[role=status]"));
      before.replaceChildren(...[...after.childNodes].map((node) => document.adoptNode(node)));
      const placed = before.querySelector("[role=status]");
      if (line && words && placed) {
        line.replaceChildren(...placed.childNodes);
        placed.replaceWith(line);
      }
      const csv = page.querySelector("[data-csv]");
      if (csv) document.querySelector("[data-csv]").href = csv.href;
      for (const next of document.querySelectorAll("input[name=next]")) next.value = url;
      history.replaceState(null, "", url);
      enliven(before);
    } catch (error) {
      if (error.name !== "AbortError") form.requestSubmit();
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 200);
  });
  form.addEventListener("submit", () => clearTimeout(waiting));
}

enliven(document);
tellZone();
setInterval(() => tellTimes(document), 30_000);
for (const form of document.querySelectorAll("form[data-live]")) liveSearch(form);
