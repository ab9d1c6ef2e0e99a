// A board: reads the streamed frame line by line, draws panels as they arrive, keeps the last
// good picture when something fails, and leads every mark on.

import { ApiError, byId, h, message, pageData, send, t } from "./lib/dom";
import { carousel } from "./lib/carousel";
import { Chart } from "./lib/chart";
import { clockDate, clockTime, minute } from "./lib/format";
import { watch, type Versions } from "./lib/live";
import { type Panel, cloud, duty, feed, gauge, number, ranking, table, weather } from "./lib/panels";
import { openSheet, setUpSheet } from "./lib/sheet";
import type { Settings } from "./lib/tiles";
import type { Cell } from "./lib/types";

interface Variable {
  name: string;
  label: string;
  kind: "region" | "code" | "period";
  field: string | null;
  value: string;
  none: string;
  choices: [string, string][];
}

interface Page {
  board: string;
  datasets: string[];
  rowPages: Record<string, string>;
  scope: string | null;
  map: Settings;
  variables: Variable[];
  regionVariable: [string, string | null] | null;
}

interface Slot {
  el: HTMLElement;
  body: HTMLElement;
  line: string;
  panel: Panel | null;
  chart: Chart | null;
}

const page = pageData<Page>();
const slots = new Map<string, Slot>();
document.querySelectorAll<HTMLElement>(".board > [data-panel]").forEach((el) => {
  const body = el.querySelector<HTMLElement>(".panel-body");
  if (body) slots.set(el.dataset.panel ?? "", { el, body, line: "", panel: null, chart: null });
});

// ---- variables and the address ----

function vars(): Record<string, string> {
  const params = new URLSearchParams(location.search);
  return Object.fromEntries(page.variables.map((v) => [v.name, params.get(v.name) ?? v.none]));
}

/** Changes variables in the address; the board follows, the page is not loaded again. */
function choose(changes: Record<string, string>, replace = false): void {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    const none = page.variables.find((v) => v.name === name)?.none ?? "";
    if (value && value !== none) params.set(name, value);
    else params.delete(name);
  }
  const query = params.toString();
  history[replace ? "replaceState" : "pushState"](null, "", location.pathname + (query ? `?${query}` : ""));
  showVars();
  void refresh();
}

function label(variable: Variable, value: string): string {
  return variable.choices.find(([v]) => v === value)?.[1] ?? value;
}

/** The selects, the breadcrumb and the documents say what is chosen. */
function showVars(): void {
  const now = vars();
  const params = new URLSearchParams(Object.entries(now).filter(([, v]) => v)).toString();
  document.querySelectorAll<HTMLAnchorElement>("[data-take]").forEach((link) => {
    link.href = `/api/v1/boards/${encodeURIComponent(page.board)}/documents/${link.dataset.take}${params ? `?${params}` : ""}`;
  });
  for (const variable of page.variables) {
    const select = document.querySelector<HTMLSelectElement>(`#variables select[name="${variable.name}"]`);
    if (select) select.value = now[variable.name] ?? "";
  }
  const crumbs = document.getElementById("crumbs");
  const region = page.variables.find((v) => v.kind === "region");
  if (!crumbs || !region) return;
  const code = now[region.name] ?? "";
  const city = page.scope ?? region.choices[0]?.[1] ?? "";
  if (!code) crumbs.replaceChildren(h("b", null, city));
  else {
    const back = h("a", { href: "#", onclick: (e: Event) => {
      e.preventDefault();
      choose({ [region.name]: "" });
    } }, city);
    crumbs.replaceChildren(back, " / ", h("b", null, label(region, code)));
  }
}

// ---- the frame ----

let running: AbortController | null = null;
let again = false;
let retry = 0;
let delay = 1_000;
let known: Versions = {};
/** The frame under way has said its last line. */
let complete = false;

interface End {
  frame: "end";
  data_time?: string;
  data_version: Versions;
}

/** Reads one frame. A new choice of variables drops the frame under way; a tick waits for it. */
async function refresh(): Promise<void> {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  window.clearTimeout(retry);
  const params = new URLSearchParams(Object.entries(vars()).filter(([, v]) => v));
  complete = false;
  try {
    const response = await send("GET", `/api/v1/boards/${encodeURIComponent(page.board)}/data?${params}`, undefined, { signal: mine.signal });
    await lines(response, (line) => take(line));
    delay = 1_000;
    linkState("");
  } catch (error) {
    if (mine.signal.aborted) return;
    // A line that breaks after the last panel has cost nothing.
    if (complete) return linkState("");
    stale(error instanceof ApiError && error.status < 500 ? message(error) : "");
    // The last good picture stays; the next try comes later each time.
    retry = window.setTimeout(() => void refresh(), delay * (0.5 + Math.random() / 2));
    delay = Math.min(delay * 2, 60_000);
  } finally {
    if (running === mine) {
      running = null;
      if (again) {
        again = false;
        tickSoon();
      }
    }
  }
}

async function lines(response: Response, take: (line: string) => void): Promise<void> {
  const reader = response.body?.getReader();
  if (!reader) return (await response.text()).split("\n").filter(Boolean).forEach(take);
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    let end = rest.indexOf("\n");
    while (end >= 0) {
      if (end > 0) take(rest.slice(0, end));
      rest = rest.slice(end + 1);
      end = rest.indexOf("\n");
    }
    if (done) break;
  }
  if (rest.trim()) take(rest);
}

function take(line: string): void {
  const data = JSON.parse(line) as Panel | End | { frame: "start" };
  if ("frame" in data) {
    if (data.frame === "end") finish(data);
    return;
  }
  const slot = slots.get(data.panel);
  if (!slot) return;
  if (data.meta.error && slot.panel && !slot.panel.meta.error) {
    mark(slot, data.meta.error);
    return;
  }
  mark(slot, "");
  if (slot.line === line) return;
  slot.line = line;
  slot.panel = data;
  draw(slot);
}

function finish(end: End): void {
  complete = true;
  known = { ...known, ...end.data_version };
  const time = document.getElementById("data-time");
  if (time && end.data_time) {
    time.textContent = t("数据截至 ", "Data to ") + minute(end.data_time);
    time.dataset.time = end.data_time;
  }
  document.documentElement.dataset.ready = "true";
}

/** The panel keeps what it shows and says since when. */
function mark(slot: Slot, error: string): void {
  const sign = slot.el.querySelector<HTMLElement>(".stale");
  slot.el.dataset.stale = String(Boolean(error));
  if (!sign) return;
  sign.hidden = !error;
  sign.title = error;
  sign.textContent = error ? `${t("未更新", "stale")} ${minute(slot.panel?.meta.data_time).slice(5)}` : "";
}

function stale(reason: string): void {
  linkState(reason || t("连接中断", "Connection lost"));
  for (const slot of slots.values()) if (slot.panel) mark(slot, reason || t("连接中断", "connection lost"));
}

function linkState(text: string): void {
  const el = document.getElementById("link-state");
  if (!el) return;
  el.textContent = text;
  el.hidden = !text;
}

// ---- drawing ----

let tables = false;

function draw(slot: Slot): void {
  const { panel, el, body } = slot;
  if (!panel) return;
  el.removeAttribute("aria-busy");
  const link = el.querySelector<HTMLAnchorElement>(".panel-link");
  if (link && panel.href) link.href = panel.href;
  const empty = (state: string, text: string) => {
    slot.chart?.close();
    slot.chart = null;
    el.dataset.state = state;
    body.replaceChildren(h("p", null, text));
  };
  const unit = el.querySelector<HTMLElement>(".panel-unit");
  if (unit) unit.textContent = ["choropleth", "ranking", "line", "bar", "grid", "funnel", "calendar", "radar", "cloud"].includes(panel.kind) && (panel.unit !== "%" || panel.kind === "line" || panel.kind === "bar") ? (panel.unit ?? "") : "";
  if (panel.meta.error) return empty("failed", panel.meta.error);
  el.dataset.state = "ready";
  const show = (...nodes: Node[]) => {
    slot.chart?.close();
    slot.chart = null;
    body.replaceChildren(...nodes);
  };
  const none = t("没有数据", "No data");
  switch (panel.kind) {
    case "number":
      return show(...number(panel));
    case "gauge":
      return panel.number ? show(...gauge(panel)) : empty("empty", none);
    case "weather":
      return panel.facts?.length ? show(weather(panel)) : empty("empty", none);
    case "duty":
      return panel.rows?.rows.length ? show(duty(panel)) : empty("empty", t("今日没有值班安排", "Nobody on duty"));
    case "feed":
      if (!panel.rows?.rows.length) return empty("empty", none);
      show(feed(panel));
      return trim(body);
    case "table":
      if (!panel.rows?.rows.length) return empty("empty", none);
      show(table(panel.rows));
      return trim(body);
    case "text":
      return show(h("p", { class: "text-panel" }, panel.text ?? ""));
  }
  if (panel.table && !panel.table.rows.length) return empty("empty", none);
  if (tables && panel.table) return show(table(panel.table));
  if (panel.kind === "ranking") {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
    show(ranking(panel, body.clientWidth / rem, (cell, label) => picked(panel, cell, label)));
    return trim(body);
  }
  if (panel.kind === "cloud") {
    if (!panel.ranking?.length) return empty("empty", none);
    show(cloud(panel, (cell, label) => picked(panel, cell, label)));
    return trim(body);
  }
  if (!panel.option) return empty("empty", none);
  if (!slot.chart) {
    const box = h("div", { class: "chart", role: "img", "aria-label": String((panel.option.aria as { label?: { description?: string } } | undefined)?.label?.description ?? panel.title) });
    body.replaceChildren(box);
    slot.chart = new Chart(box, (cell, label) => slot.panel && picked(slot.panel, cell, label), page.map);
  }
  slot.chart.draw(panel.option).catch((error: unknown) => mark(slot, message(error)));
  return undefined;
}

/** Rankings, and feeds on walls, show whole rows only. */
function trim(body: HTMLElement): void {
  const list = body.querySelector<HTMLElement>(".feed, .ranking, .cloud, .panel-table");
  if (!list || getComputedStyle(list).overflowY !== "hidden") return;
  const bottom = list.getBoundingClientRect().bottom;
  const items = Array.from(list.querySelector("tbody")?.children ?? list.children) as HTMLElement[];
  for (const item of items) item.hidden = false;
  for (const item of items) item.hidden = item.getBoundingClientRect().bottom > bottom + 1;
}

// ---- from a mark to what is behind it ----

function picked(panel: Panel, cell: Cell, name: string): void {
  // A path with {field} leads to the page of the mark itself.
  if (panel.click?.startsWith("/") && panel.click.includes("{")) {
    const path = panel.click.replace(/\{(\w+)\}/g, (_, field: string) => encodeURIComponent(String(cell[field] ?? "")));
    return location.assign(path);
  }
  const region = page.variables.find((v) => v.kind === "region" && v.field !== null && v.field in cell);
  if (region?.field) {
    const code = String(cell[region.field] ?? "");
    // The first click narrows the whole board to the region, the second goes to the rows.
    if (code && vars()[region.name] !== code && region.choices.some(([v]) => v === code)) return choose({ [region.name]: code });
  }
  if (!panel.query) return;
  const scope = page.variables.map((v) => label(v, vars()[v.name] ?? "")).filter(Boolean);
  void openSheet([panel.title, name].filter(Boolean).join(" · "), scope.join(" · "), panel.query, cell, rowHref);
}

function rowHref(dataset: string, id: string): string | null {
  const base = page.rowPages[dataset];
  if (!base) return null;
  return base + encodeURIComponent(id) + (base === "/cases/" ? `?dataset=${encodeURIComponent(dataset)}` : "");
}

// ---- live ----

let soon = 0;

/** At most one refresh a second, and one at a time. */
function tickSoon(): void {
  if (running) {
    again = true;
    return;
  }
  window.clearTimeout(soon);
  soon = window.setTimeout(() => void refresh(), 250);
}

function ticked(versions: Versions): void {
  const changed = Object.entries(versions).some(([name, version]) => known[name] !== version);
  known = { ...known, ...versions };
  if (changed && document.documentElement.dataset.ready) tickSoon();
}

// ---- the window ----

function clock(): void {
  const time = document.getElementById("clock-time");
  const date = document.getElementById("clock-date");
  if (!time || !date) return;
  const show = () => {
    const now = new Date();
    time.textContent = clockTime(now);
    const day = clockDate(now);
    if (date.textContent !== day) {
      date.textContent = day;
      if (document.documentElement.dataset.ready) tickSoon();
    }
    window.setTimeout(show, 1000 - now.getMilliseconds());
  };
  show();
}

function repaint(): void {
  for (const slot of slots.values()) {
    slot.chart?.paint();
    if (["feed", "ranking", "cloud", "table"].includes(slot.panel?.kind ?? "")) trim(slot.body);
  }
}

function fullScreen(): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void document.documentElement.requestFullscreen().catch(() => undefined);
}

function toggleTables(): void {
  tables = !tables;
  document.querySelector("[data-action=table]")?.setAttribute("aria-pressed", String(tables));
  for (const slot of slots.values()) if (slot.panel?.table) draw(slot);
}

function toggleTheme(): void {
  const root = document.documentElement;
  const dark = getComputedStyle(root).colorScheme.includes("dark");
  root.dataset.theme = dark ? "light" : "dark";
  const params = new URLSearchParams(location.search);
  params.set("theme", root.dataset.theme);
  history.replaceState(null, "", `${location.pathname}?${params}`);
  repaint();
}

const actions: Record<string, () => void> = { fullscreen: fullScreen, table: toggleTables, theme: toggleTheme };
for (const [name, run] of Object.entries(actions)) document.querySelectorAll(`[data-action=${name}]`).forEach((el) => el.addEventListener("click", run));

document.addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, textarea, dialog")) return;
  if (event.key === "f" || event.key === "F") fullScreen();
  else if (event.key === "t" || event.key === "T") toggleTables();
  else if (event.key === "Escape" && !document.fullscreenElement) {
    const region = page.variables.find((v) => v.kind === "region");
    if (region && vars()[region.name]) choose({ [region.name]: "" });
  }
});

document.getElementById("variables")?.addEventListener("change", (event) => {
  const select = event.target as HTMLSelectElement;
  choose({ [select.name]: select.value });
});
window.addEventListener("popstate", () => {
  showVars();
  void refresh();
});
let resizing = 0;
new ResizeObserver(() => {
  window.clearTimeout(resizing);
  resizing = window.setTimeout(repaint, 120);
}).observe(byId("board"));
// Relative periods move with the day even where nothing new comes in.
window.setInterval(tickSoon, 5 * 60_000);

/** The server may start somebody at home, in the only district of theirs: then the address says so, too. */
function startAtHome(): void {
  const params = new URLSearchParams(location.search);
  const home = page.variables.filter((v) => v.value && v.value !== v.none && !params.has(v.name));
  for (const v of home) params.set(v.name, v.value);
  if (home.length) history.replaceState(null, "", `${location.pathname}?${params}`);
}

setUpSheet();
startAtHome();
showVars();
clock();
void refresh();
carousel(page.board, (text) => byId("round").replaceChildren(text), { held: t("轮播已暂停（空格继续）", "Held (space goes on)"), next: t("轮播中", "Carousel") });
watch(page.datasets, ticked, (up) => linkState(up ? "" : t("实时中断，重连中", "reconnecting")));
