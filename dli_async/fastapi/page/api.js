// What the router offers. The page lives at PREFIX/ui, its files below that.

const base = new URL("..", import.meta.url).href.replace(/\/$/, "");

async function ask(path, options = {}) {
  const answer = await fetch(base + path, { headers: { Accept: "application/json" }, ...options });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `HTTP ${answer.status}`);
  return body;
}

export function list(before = null) {
  return ask(`?limit=100${before === null ? "" : `&before=${before}`}`);
}

export function look(id) {
  return ask(`/${id}`);
}

export function cancel(id) {
  return ask(`/${id}`, { method: "DELETE" });
}

// A page of the files of an export; `after` is `next_after` of the page before.
export function files(id, after = "") {
  return ask(`/${id}/files?after=${encodeURIComponent(after)}`);
}

// Calls `heard(kind, event, number)` for each event after `lastId`; browsers reconnect by themselves.
export function follow(lastId, heard, connection) {
  const source = new EventSource(`${base}/events?last_event_id=${lastId}`);
  source.onopen = () => connection("live");
  source.onerror = () => connection(source.readyState === EventSource.CLOSED ? "lost" : "retrying");
  for (const kind of ["status", "progress", "end"]) {
    source.addEventListener(kind, (message) => heard(kind, JSON.parse(message.data), message.lastEventId));
  }
  return source;
}

// Every event of one export so far, as [number, event].
export async function history(id) {
  const answer = await fetch(`${base}/${id}/events?follow=false`);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const blocks = (await answer.text()).split("\r\n\r\n");
  return blocks.map(readEvent).filter((found) => found !== null);
}

function readEvent(block) {
  const fields = new Map(
    block.split("\r\n").map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
  return fields.has("id") ? [Number(fields.get("id")), JSON.parse(fields.get("data"))] : null;
}
