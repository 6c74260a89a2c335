// The files of one export, asked for when its details are open and it has finished.

import { files } from "./api.js";
import { bytes, element, rows, time } from "./format.js";

export class FileList {
  constructor(view) {
    this.id = view.export_id;
    this.isAsked = false;
    this.next = "";
    this.title = element("h2", {});
    this.pages = element("div");
    this.note = element("p", { role: "status" });
    this.more = element("button", { type: "button" }, "Show more files");
    this.more.addEventListener("click", () => this.load());
    this.root = element("section", { class: "files" }, this.title, this.pages, this.note, this.more);
    this.root.hidden = this.more.hidden = true;
    this.update(view);
  }

  update(view) {
    if (this.isAsked || view.state !== "finished") return;
    this.isAsked = true;
    this.root.hidden = false;
    this.load();
  }

  async load() {
    this.more.disabled = true;
    const page = await this.ask(this.next);
    this.more.disabled = false;
    if (!page) return;
    const word = page.count === 1 ? "file" : "files";
    this.title.textContent = `${rows(page.count)} ${word}, ${bytes(page.size)}`;
    this.pages.append(this.draw(page, this.next));
    this.more.hidden = page.next_after === null;
    this.next = page.next_after;
  }

  // A page, or null where there is none; then the note says why.
  async ask(after) {
    this.note.textContent = "Looking for the files …";
    try {
      const page = await files(this.id, after);
      this.note.textContent = "";
      return page;
    } catch (error) {
      this.note.textContent = error.message;
      return null;
    }
  }

  draw(page, after) {
    const list = element("ul", { "aria-label": "Files" });
    list.addEventListener("click", (click) => {
      const anchor = click.target.closest("a");
      if (!anchor || new Date() < new Date(page.links_expire_at)) return;
      // It would open nothing any more.
      click.preventDefault();
      this.renew(list, after, anchor.textContent);
    });
    list.append(...page.files.map(item));
    return list;
  }

  // Puts new links in the place of old ones, and opens one of them.
  async renew(list, after, name) {
    const page = await this.ask(after);
    if (!page) return;
    list.replaceWith(this.draw(page, after));
    const link = page.files.find((file) => file.name === name)?.link;
    if (link) location.assign(link);
  }
}

function item(file) {
  const name = file.link
    ? element("a", { href: file.link, rel: "noreferrer" }, file.name)
    : element("span", {}, file.name);
  const facts = [bytes(file.size), file.format, file.codec];
  if (file.last_modified) facts.push(time(file.last_modified));
  return element("li", {}, name, element("small", {}, facts.filter(Boolean).join(", ")));
}
