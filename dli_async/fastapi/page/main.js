// The page: loads the exports, follows their events, filters, cancels.

import { cancel, follow, list, look } from "./api.js";
import { Row } from "./table.js";

const at = (id) => document.getElementById(id);
const rows = new Map();
const asked = new Map();
let before = null;
let source = null;

function complain(error) {
  at("problem").textContent = error ? error.message : "";
  at("problem").hidden = !error;
}

function connection(state) {
  at("connection").dataset.state = state;
  at("connection").textContent = state;
  if (state === "lost") setTimeout(start, 3000);
}

function put(view, isNew) {
  const known = rows.get(view.export_id);
  if (known) {
    known.update(view);
    return;
  }
  const row = new Row(view, ask);
  rows.set(view.export_id, row);
  if (isNew) {
    const next = [...rows.keys()].filter((id) => id < view.export_id).sort((a, b) => b - a)[0];
    at("rows").insertBefore(row.root, next === undefined ? null : rows.get(next).root);
  } else {
    at("rows").append(row.root);
  }
}

function filter() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = document.querySelector("input[name=state]:checked").value;
  const counts = { all: 0, active: 0, finished: 0, failed: 0, cancelled: 0, lost: 0 };
  let shown = 0;
  for (const row of rows.values()) {
    const matches = row.matches(words);
    if (matches) {
      counts.all += 1;
      counts[row.group] += 1;
    }
    const isShown = matches && (wanted === "all" || wanted === row.group);
    row.show(isShown);
    shown += isShown;
  }
  for (const input of document.querySelectorAll("input[name=state]")) {
    input.parentElement.querySelector("b").textContent = counts[input.value];
  }
  at("empty").hidden = shown > 0;
}

let isDue = false;
function filterSoon() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    filter();
  }, 50);
}

async function heard(kind, event, number) {
  const id = event.export_id;
  if (rows.has(id)) {
    rows.get(id).update(event, kind === "progress" ? null : Number(number));
  } else if (asked.has(id)) {
    asked.get(id).push(event);
  } else {
    asked.set(id, []);
    try {
      put(await look(id), true);
      // What came meanwhile may be newer than the answer.
      asked.get(id).forEach((later) => rows.get(id).update(later));
    } catch (error) {
      complain(error);
    } finally {
      asked.delete(id);
    }
  }
  if (kind === "end") {
    at("news").textContent = `${event.label}: ${event.state}`;
  }
  filterSoon();
}

function ask(row) {
  const dialog = at("confirm");
  at("question").textContent = `Cancel the export of ${row.name} to ${row.view.spec.data_path}?`;
  dialog.onclick = async (click) => {
    const choice = click.target.closest("button")?.value;
    if (!choice) return;
    dialog.close();
    row.button.focus();
    if (choice !== "yes") return;
    row.button.disabled = true;
    try {
      const said = await cancel(row.view.export_id);
      row.update(said.export);
      at("news").textContent = `${row.name}: ${said.outcome}`;
      complain(said.outcome === "not confirmed" ? new Error(`${row.name}: not confirmed yet`) : null);
    } catch (error) {
      complain(error);
    } finally {
      row.button.disabled = false;
      filter();
    }
  };
  dialog.showModal();
}

function take(page) {
  page.exports.forEach((view) => put(view, false));
  before = page.next_before;
  at("more").hidden = before === null;
  filter();
}

async function start() {
  source?.close();
  try {
    const page = await list();
    rows.clear();
    at("rows").replaceChildren();
    take(page);
    complain(null);
    source = follow(page.last_event_id, heard, connection);
  } catch (error) {
    complain(error);
    connection("lost");
  }
}

at("filters").addEventListener("input", filter);
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("more").addEventListener("click", async () => {
  try {
    take(await list(before));
  } catch (error) {
    complain(error);
  }
});
setInterval(() => rows.forEach((row) => row.group === "active" && row.tick()), 1000);
// A page that the browser keeps for going back must not keep its connection.
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && start());
start();
