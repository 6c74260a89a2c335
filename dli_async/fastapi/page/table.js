// The rows of the table, one for each export, the newest first.

import { FileList } from "./files.js";
import { ENDS, element, rows, span, time } from "./format.js";
import { Timeline } from "./timeline.js";

export function isOver(view) {
  return ENDS.includes(view.state);
}

function word(view) {
  if (view.state !== "submitted") return view.state;
  return view.status ? view.status.toLowerCase() : "submitted";
}

function elapsed(view) {
  if (view.duration !== null && view.duration !== undefined) return view.duration;
  const end = view.ended_at ? new Date(view.ended_at) : new Date();
  return Math.max(0, end - new Date(view.created_at)) / 1000;
}

export class Row {
  constructor(view, onCancel) {
    this.view = view;
    this.timeline = this.files = null;
    const name = view.label;
    this.name = name;
    this.toggle = element("button", {
      type: "button",
      class: "toggle",
      "aria-expanded": "false",
      "aria-label": `Details of ${name}`,
    });
    this.toggle.addEventListener("click", () => this.turn());
    this.badge = element("span", { class: "badge" });
    this.progress = element("progress", { max: "1", "aria-label": `Progress of ${name}` });
    this.share = element("span", { class: "share" });
    this.duration = element("td", { class: "number" });
    this.count = element("td", { class: "number" });
    this.button = element("button", { type: "button", "aria-label": `Cancel ${name}` }, "Cancel");
    this.button.addEventListener("click", () => onCancel(this));
    this.root = element(
      "tr",
      { "data-export": String(view.export_id) },
      element("td", {}, this.toggle),
      element("th", { scope: "row" }, name),
      element("td", { class: "folder" }, view.spec.data_path),
      element("td", {}, this.badge),
      element("td", { class: "progress" }, this.progress, this.share),
      this.duration,
      this.count,
      element("td", {}, element("time", { datetime: view.created_at }, time(view.created_at))),
      element("td", {}, this.button),
    );
    this.draw();
  }

  get group() {
    return isOver(this.view) ? this.view.state : "active";
  }

  matches(words) {
    const text = `${this.name} ${this.view.spec.data_path} ${this.view.job_id ?? ""}`.toLowerCase();
    return words.every((one) => text.includes(one));
  }

  // Takes in a whole view, or the fields of an event and its number.
  update(news, number = null) {
    // Progress is asked for aside, so what it tells may be older than the end.
    if (isOver(this.view) && !isOver(news)) return;
    for (const [key, value] of Object.entries(news)) {
      const isKnown = key in this.view && (value !== null || !(key in { progress: 1, duration: 1 }));
      if (isKnown) this.view[key] = value;
    }
    if (isOver(this.view)) this.view.ended_at ??= news.at;
    this.draw();
    this.timeline?.update(this.view);
    this.files?.update(this.view);
    if (number !== null) this.timeline?.add(number, news);
  }

  draw() {
    const view = this.view;
    this.badge.textContent = word(view);
    this.badge.dataset.phase = word(view);
    this.root.title = view.error ?? "";
    const share = view.state === "finished" ? 1 : view.progress;
    const isIdle = isOver(view) && view.state !== "finished";
    this.progress.hidden = isIdle;
    if (share === null || share === undefined) this.progress.removeAttribute("value");
    else this.progress.value = share;
    const isKnown = share !== null && share !== undefined && !isIdle;
    this.share.textContent = isKnown ? `${Math.round(share * 100)} %` : isIdle ? "–" : "";
    this.count.textContent = rows(view.row_count);
    this.button.hidden = isOver(view);
    this.tick();
  }

  tick() {
    this.timeline?.draw();
    this.duration.textContent = span(elapsed(this.view));
  }

  show(isShown) {
    this.root.hidden = !isShown;
    if (this.detail) this.detail.hidden = !isShown;
  }

  turn() {
    const isOpen = this.toggle.getAttribute("aria-expanded") === "true";
    this.toggle.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) {
      this.detail.remove();
      this.timeline = this.files = this.detail = null;
      return;
    }
    this.timeline = new Timeline(this.view);
    this.files = new FileList(this.view);
    const cell = element("td", { colspan: "9" }, this.timeline.root, this.files.root);
    this.detail = element("tr", { class: "details" }, cell);
    this.root.after(this.detail);
  }
}
