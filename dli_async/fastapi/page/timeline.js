// The timeline of one export: a bar of its phases, and the same as a list.

import { history } from "./api.js";
import { ENDS, bytes, element, span, time } from "./format.js";

function phase(event) {
  if (event.state === "submitted") return event.status ? event.status.toLowerCase() : "submitted";
  return event.state;
}

function phasesOf(events) {
  const found = [];
  for (const event of events) {
    const name = phase(event);
    const last = found.at(-1);
    if (last && last.name === name) {
      last.error = event.error ?? last.error;
    } else {
      found.push({ name, at: new Date(event.at), error: event.error });
    }
  }
  return found;
}

export class Timeline {
  constructor(view) {
    this.events = new Map();
    this.bar = element("div", { class: "bar", "aria-hidden": "true" });
    this.steps = element("ol", { class: "steps", "aria-label": "Timeline" });
    this.facts = element("dl", { class: "facts" });
    this.root = element("div", { class: "detail" }, this.facts, this.bar, this.steps);
    this.update(view);
    this.load(view.export_id);
  }

  async load(id) {
    try {
      (await history(id)).forEach(([number, event]) => this.add(number, event));
    } catch (error) {
      this.steps.replaceChildren(element("li", {}, error.message));
    }
  }

  // Takes in an event; those that it knows already, from the history or the stream, do not count.
  add(number, event) {
    this.events.set(number, event);
    this.draw();
  }

  update(view) {
    const spec = view.spec;
    const facts = [
      ["Export", String(view.export_id)],
      ["Job", view.job_id ?? "not accepted yet"],
      ["Format", [spec.data_type, spec.compress, spec.with_column_header && "header"]],
      ["Mode", spec.export_mode],
      ["Queue", spec.queue_name ?? "default"],
      ["Caller", view.identity],
      ["Read", bytes(view.input_size)],
      ["Error", view.error],
    ];
    this.facts.replaceChildren(
      ...facts
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => {
          const text = Array.isArray(value) ? value.filter(Boolean).join(", ") : value;
          return element("div", {}, element("dt", {}, name), element("dd", {}, text));
        }),
    );
  }

  draw() {
    const numbers = [...this.events.keys()].sort((a, b) => a - b);
    const phases = phasesOf(numbers.map((number) => this.events.get(number)));
    const isOver = ENDS.includes(phases.at(-1)?.name);
    const until = isOver ? phases.at(-1).at : new Date();
    const shown = isOver ? phases.slice(0, -1) : phases;
    const ends = phases.slice(1).map((next) => next.at).concat(until);
    this.bar.replaceChildren(
      ...shown.map((one, index) => {
        const seconds = Math.max(0, ends[index] - one.at) / 1000;
        const part = element("span", { "data-phase": one.name, title: `${one.name} ${span(seconds)}` });
        part.style.flexGrow = String(Math.max(seconds, 0.01));
        return part;
      }),
    );
    this.steps.replaceChildren(
      ...phases.map((one, index) => {
        const isLast = index === phases.length - 1;
        const lasted = isLast && isOver ? "" : span(Math.max(0, ends[index] - one.at) / 1000);
        const step = element(
          "li",
          { "data-phase": one.name },
          element("b", {}, one.name),
          element("time", { datetime: one.at.toISOString() }, time(one.at)),
          element("span", {}, lasted),
        );
        if (one.error) step.append(element("em", {}, one.error));
        return step;
      }),
    );
  }
}
