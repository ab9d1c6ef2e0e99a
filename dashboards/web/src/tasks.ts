// The task centre: lists, countdowns, steps, orders, notices, handing over.

import { ask, local, moment } from "./lib/ask";
import type { Question } from "./lib/ask";
import { api, byId, h, message, pageData, t } from "./lib/dom";

interface Task {
  id: string;
  kind: string;
  title: string;
  detail: string;
  status: string;
  timeliness: string;
  result: string;
  urgency: string;
  dataset: string;
  record: string;
  link: string;
  district: string;
  owner: string;
  role: string;
  sender: string;
  handed_from: string;
  created_at: number;
  due_at: number | null;
  done_at: number | null;
  feedback: string;
  explanation: string;
  escalated: boolean;
  urges: number;
  automatic: boolean;
  actions: string[];
}

interface Page {
  user: string;
  supervises: boolean;
  kinds: Record<string, string>;
  statuses: Record<string, string>;
  timeliness: Record<string, string>;
  urgencies: Record<string, string>;
  results: Record<string, string>;
  roles: Record<string, string>;
  regions: Record<string, string>;
  registers: Record<string, string>;
}

interface List {
  tasks: Task[];
  total: number;
  counts: { mine: number; new: number; due_soon: number; overdue: number; to_confirm: number };
  now: number;
}

interface People {
  people: { username: string; name: string; roles: string[]; regions: string[] }[];
  handovers: { id: number; from: string; to: string; until: number | null; reason: string }[];
}

const page = pageData<Page>();
const STEPS: Record<string, string> = { acknowledge: t("签收", "Acknowledge"), report: t("反馈", "Report"), complete: t("办结", "Done"), confirm: t("确认办结", "Confirm"), return: t("退回", "Return"), explain: t("说明情况", "Explain"), escalate: t("上报", "Escalate"), extend: t("延期", "Extend"), reassign: t("转派", "Reassign"), urge: t("催办", "Urge"), cancel: t("撤销", "Cancel"), create: t("交办", "given"), hand_over: t("移交", "handed over"), due_soon: t("临期", "due soon"), overdue: t("超期", "overdue") };
const MAIN = ["acknowledge", "report", "complete", "confirm"];
const SIZE = 50;
let offset = 0;
let skew = 0;
let people: People | null = null;
const chosen = new Set<string>();

const everyone = async (): Promise<People> => (people ??= await api<People>("GET", "/api/v1/tasks/people"));
const name = (user: string): string => people?.people.find((p) => p.username === user)?.name ?? user;
const choices = (list: People): [string, string][] => list.people.filter((p) => p.username !== page.user).map((p) => [p.username, `${p.name}（${p.roles.map((r) => page.roles[r] ?? r).join("、")}）`]);

/** How long there is, or how long it is over. */
function countdown(due: number | null, now: number): string {
  if (due === null) return "";
  const minutes = Math.round(Math.abs(due - now) / 60_000);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  const size = days ? t(`${days} 天${hours ? ` ${hours} 小时` : ""}`, `${days} d ${hours} h`) : hours ? t(`${hours} 小时 ${minutes % 60} 分`, `${hours} h ${minutes % 60} min`) : t(`${minutes} 分钟`, `${minutes} min`);
  return due < now ? t(`超期 ${size}`, `${size} over`) : t(`还剩 ${size}`, `${size} left`);
}

const tone: Record<string, string> = { overdue: "bad", due_soon: "warn", on_track: "good", none: "flat" };

function questions(step: string, list: People): Question[] {
  const note = (required: boolean, label: string): Question => ({ name: "note", label, kind: "long", required, maxlength: 2000 });
  switch (step) {
    case "report": return [note(true, t("反馈情况", "What was done"))];
    case "complete": return [note(false, t("办理情况", "What was done"))];
    case "return": return [note(true, t("退回原因", "Why"))];
    case "explain": return [note(true, t("情况说明", "Explanation"))];
    case "cancel": return [note(true, t("撤销原因", "Why"))];
    case "extend": return [{ name: "due_at", label: t("新的期限", "New end"), kind: "datetime", required: true }, note(true, t("延期原因", "Why"))];
    case "reassign": return [{ name: "to", label: t("接收人", "To"), kind: "select", required: true, options: choices(list) }, note(false, t("说明", "Note"))];
    case "escalate": case "urge": return [note(false, t("说明", "Note"))];
    default: return [];
  }
}

const body = (answers: Record<string, string>) => ({ note: answers.note || null, to: answers.to || null, due_at: moment(answers.due_at ?? "") });

async function take(task: Task, step: string): Promise<void> {
  const list = await everyone();
  const run = async (answers: Record<string, string>) => {
    await api("POST", `/api/v1/tasks/${encodeURIComponent(task.id)}/actions/${step}`, body(answers));
    await load();
  };
  const asked = questions(step, list);
  if (asked.length) ask(`${STEPS[step] ?? step}：${task.title}`, asked, run);
  else await run({}).catch(fail);
}

function fail(error: unknown): void {
  byId("task-list").prepend(h("p", { class: "error", role: "alert" }, message(error)));
}

function card(task: Task, now: number): HTMLElement {
  const over = task.status === "done" || task.status === "cancelled";
  const check = over ? null : h("input", { type: "checkbox", "aria-label": t("选中", "Select"), checked: chosen.has(task.id), onchange: (e: Event) => {
    if ((e.target as HTMLInputElement).checked) chosen.add(task.id);
    else chosen.delete(task.id);
    batch();
  } });
  const who = task.owner ? name(task.owner) : task.role ? `${page.regions[task.district] ?? ""}${page.roles[task.role] ?? task.role}` : "";
  const late = over ? (page.results[task.result] ?? "") : countdown(task.due_at, now);
  const facts = [
    page.kinds[task.kind], task.dataset ? page.registers[task.dataset] ?? task.dataset : "", task.district && page.regions[task.district],
    who && t(`承办 ${who}`, `with ${who}`), task.sender !== "system" && task.sender && t(`交办 ${name(task.sender)}`, `from ${name(task.sender)}`), task.handed_from && t(`移交自 ${name(task.handed_from)}`, `handed over from ${name(task.handed_from)}`),
    task.due_at ? t(`期限 ${local(task.due_at)}`, `due ${local(task.due_at)}`) : "", task.urges ? t(`催办 ${task.urges} 次`, `urged ${task.urges} times`) : "", task.escalated ? t("已上报", "escalated") : "",
  ].filter(Boolean) as string[];
  return h("article", { class: `task ${tone[task.timeliness] ?? ""}`, id: task.id },
    check ? h("div", { class: "task-check" }, check) : null,
    h("div", { class: "task-main" },
      h("h3", null, task.urgency !== "normal" ? h("span", { class: "state bad" }, page.urgencies[task.urgency] ?? task.urgency) : null, h("a", { href: task.link || `?task=${task.id}`, class: "task-title" }, task.title)),
      task.detail ? h("p", null, task.detail) : null,
      h("p", { class: "hint" }, facts.join(" · ")),
      task.feedback ? h("p", { class: "task-say" }, h("b", null, t("反馈：", "Report: ")), task.feedback) : null,
      task.explanation ? h("p", { class: "task-say" }, h("b", null, t("说明：", "Explanation: ")), task.explanation) : null),
    h("div", { class: "task-side" },
      h("span", { class: `state ${over ? (task.result === "late" ? "bad" : "flat") : tone[task.timeliness] ?? "flat"}` }, page.statuses[task.status] ?? task.status),
      late ? h("span", { class: "num task-late" }, late) : null,
      h("div", { class: "task-actions" },
        task.actions.filter((a) => MAIN.includes(a)).map((a) => h("button", { type: "button", class: "primary", onclick: () => void take(task, a) }, STEPS[a])),
        task.automatic && !over && task.link ? h("a", { class: "button primary", href: task.link }, t("去办理", "Open")) : null,
        task.actions.some((a) => !MAIN.includes(a)) ? h("details", { class: "more" }, h("summary", { "aria-label": t("更多操作", "More") }, "⋯"), h("div", null, task.actions.filter((a) => !MAIN.includes(a)).map((a) => h("button", { type: "button", onclick: () => void take(task, a) }, STEPS[a])), h("button", { type: "button", onclick: () => void steps(task) }, t("办理过程", "Steps")))) : null)));
}

async function steps(task: Task): Promise<void> {
  try {
    const { history } = await api<{ history: { action: string; actor: string; at: number; reason?: string }[] }>("GET", `/api/v1/tasks/${encodeURIComponent(task.id)}`);
    await everyone();
    ask(`${task.id} ${task.title}`, [], () => Promise.resolve(), h("ol", { class: "timeline" }, history.map((e) => h("li", null, h("time", { class: "num" }, local(e.at)), h("b", null, `${STEPS[e.action] ?? e.action} · ${e.actor === "system" ? t("系统", "system") : name(e.actor)}`), e.reason ? h("span", null, e.reason) : null))));
  } catch (error) {
    fail(error);
  }
}

function batch(): void {
  const box = byId("task-batch");
  box.hidden = chosen.size === 0;
  const run = (step: string) => async () => {
    const go = async (answers: Record<string, string>) => {
      const result = await api<{ done: string[]; failed: { id: string; message: string }[] }>("POST", "/api/v1/tasks/batch", { ids: [...chosen], action: step, step: body(answers) });
      chosen.clear();
      await load();
      if (result.failed.length) byId("task-list").prepend(h("p", { class: "error", role: "alert" }, t(`${result.failed.length} 项未能处理：`, `${result.failed.length} not done: `) + result.failed.map((f) => `${f.id} ${f.message}`).join("；")));
    };
    const asked = questions(step, await everyone());
    if (asked.length) ask(t(`批量${STEPS[step]}（${chosen.size} 项）`, `${STEPS[step]} ${chosen.size} tasks`), asked, go);
    else await go({}).catch(fail);
  };
  box.replaceChildren(h("span", null, t(`已选 ${chosen.size} 项`, `${chosen.size} selected`)), ...["acknowledge", "complete", "report", "explain", "reassign", "confirm", "urge"].map((s) => h("button", { type: "button", onclick: run(s) }, STEPS[s])));
}

function tiles(list: List): void {
  const tile = (label: string, value: number, query: Record<string, string>, tone: string) => h("a", { class: `tile ${value ? tone : ""}`, href: `?${new URLSearchParams(query)}` }, h("b", { class: "num" }, value), h("span", null, label));
  byId("task-counts").replaceChildren(
    tile(t("待办", "To do"), list.counts.mine, { view: "mine" }, ""), tile(t("待签收", "New"), list.counts.new, { view: "mine", status: "open" }, ""),
    tile(t("临期", "Due soon"), list.counts.due_soon, { view: "mine", timeliness: "due_soon" }, "warn"), tile(t("超期", "Overdue"), list.counts.overdue, { view: "mine", timeliness: "overdue" }, "bad"),
    tile(t("待我确认", "To confirm"), list.counts.to_confirm, { view: "sent", status: "reported" }, "warn"));
}

async function load(): Promise<void> {
  const now = new URLSearchParams(location.search);
  const wanted = now.get("task");
  const query = new URLSearchParams({ limit: String(SIZE), offset: String(offset) });
  for (const key of ["view", "kind", "status", "timeliness", "dataset", "q"]) if (now.get(key)) query.set(key, now.get(key) ?? "");
  const box = byId("task-list");
  try {
    await everyone();
    const list = await api<List>("GET", `/api/v1/tasks?${query}`);
    if (wanted) {
      // A link of a notice: the one task first.
      const one = await api<{ task: Task; now: number }>("GET", `/api/v1/tasks/${encodeURIComponent(wanted)}`);
      list.tasks = [one.task, ...list.tasks.filter((x) => x.id !== wanted)];
    }
    skew = list.now - Date.now();
    tiles(list);
    byId("task-lead").textContent = t(`共 ${list.total} 项`, `${list.total} tasks`);
    const shown = new Set(list.tasks.map((x) => x.id));
    for (const id of chosen) if (!shown.has(id)) chosen.delete(id);
    batch();
    if (!list.tasks.length) {
      box.replaceChildren(h("p", { class: "empty" }, t("没有任务。", "Nothing to do.")));
      return;
    }
    const pager = h("nav", { class: "pager" }, h("button", { type: "button", disabled: offset === 0, onclick: () => move(-SIZE) }, t("上一页", "Previous")), h("button", { type: "button", disabled: offset + SIZE >= list.total, onclick: () => move(SIZE) }, t("下一页", "Next")));
    box.replaceChildren(h("div", { class: "task-cards" }, list.tasks.map((task) => card(task, Date.now() + skew))), list.total > SIZE ? pager : "");
  } catch (error) {
    box.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
  }
}

function move(by: number): void {
  offset = Math.max(0, offset + by);
  void load();
}

function frame(): void {
  const now = new URLSearchParams(location.search);
  const view = now.get("view") ?? "mine";
  const views: [string, string][] = [["mine", t("我的待办", "Mine")], ["sent", t("我交办的", "Sent")], ["done", t("已办", "Done")]];
  if (page.supervises) views.push(["region", t("辖区全部", "My regions")]);
  byId("task-views").replaceChildren(...views.map(([v, label]) => h("a", { role: "tab", href: `?view=${v}`, "aria-selected": String(v === view) }, label)));
  const form = byId<HTMLFormElement>("task-filters");
  const select = (key: string, label: string, options: Record<string, string>) => h("label", null, label, h("select", { name: key }, h("option", { value: "" }, t("全部", "all")), Object.entries(options).map(([v, text]) => h("option", { value: v, selected: now.get(key) === v }, text))));
  form.replaceChildren(h("input", { type: "hidden", name: "view", value: view }), h("label", null, t("关键词", "Words"), h("input", { type: "search", name: "q", value: now.get("q") ?? "" })), select("kind", t("类型", "Kind"), page.kinds), select("timeliness", t("时限", "Time"), page.timeliness), h("button", { type: "submit" }, t("查询", "Find")));
  const go = () => {
    const next = new URLSearchParams();
    for (const [key, value] of new FormData(form)) if (value) next.set(key, String(value));
    location.search = String(next);
  };
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    go();
  });
  form.addEventListener("change", (e) => (e.target as HTMLElement).tagName === "SELECT" && go());
}

async function order(): Promise<void> {
  const list = await everyone();
  const now = new URLSearchParams(location.search);
  const own: Question[] = page.supervises ? [{ name: "owner", label: t("承办人", "Owner"), kind: "select", required: true, options: choices(list) }, { name: "urgency", label: t("紧急程度", "Urgency"), kind: "select", required: true, value: "normal", options: Object.entries(page.urgencies) }] : [];
  ask(page.supervises ? t("发起督办", "Supervision order") : t("记一项待办", "New to-do"), [
    { name: "title", label: t("事项", "What"), required: true, maxlength: 200, value: now.get("title") ?? "" },
    { name: "detail", label: t("要求", "Details"), kind: "long", maxlength: 2000 }, ...own,
    { name: "due_at", label: t("办理期限", "Due"), kind: "datetime", required: page.supervises },
  ], async (a) => {
    await api("POST", "/api/v1/tasks", { title: a.title, detail: a.detail || null, owner: a.owner || page.user, kind: page.supervises ? "supervision" : "other", urgency: a.urgency || "normal", due_at: moment(a.due_at ?? ""), dataset: now.get("dataset"), record: now.get("record"), link: now.get("link") });
    if (now.get("order")) location.search = "?view=sent";
    else await load();
  });
}

async function handOver(): Promise<void> {
  const list = await everyone();
  const current = list.handovers.length ? h("div", null, h("p", { class: "hint" }, t("已有的移交：", "In force:")), h("ul", null, list.handovers.map((d) => h("li", null, `${name(d.from)} → ${name(d.to)}${d.until ? t(`，至 ${local(d.until)}`, ` until ${local(d.until)}`) : ""} · ${d.reason} `, d.from === page.user ? h("button", { type: "button", class: "quiet", onclick: (e: Event) => {
    void api("DELETE", `/api/v1/tasks/handover/${d.id}`).then(() => (e.target as HTMLElement).closest("li")?.remove());
    people = null;
  } }, t("收回", "End")) : null)))) : undefined;
  const from: Question[] = page.supervises ? [{ name: "from", label: t("移交谁的工作", "Whose work"), kind: "select", required: true, value: page.user, options: list.people.map((p) => [p.username, p.name]) }] : [];
  ask(t("工作移交", "Hand over work"), [...from,
    { name: "to", label: t("移交给", "To"), kind: "select", required: true, options: choices(list) },
    { name: "until", label: t("新任务代办至", "New work until"), kind: "date", hint: t("不填为长期移交；未办结的任务全部移交", "Empty: for good. All open tasks move.") },
    { name: "reason", label: t("原因", "Why"), required: true, maxlength: 200 },
  ], async (a) => {
    const moved = await api<{ tasks: number }>("POST", "/api/v1/tasks/handover", { to: a.to, from: a.from || null, until: moment(a.until ?? ""), reason: a.reason });
    people = null;
    await load();
    byId("task-list").prepend(h("p", { class: "note", role: "status" }, t(`已移交 ${moved.tasks} 项任务。`, `${moved.tasks} tasks handed over.`)));
  }, current);
}

async function notices(): Promise<void> {
  try {
    const { notices } = await api<{ notices: { title: string; body: string; link: string | null; created_at: number; read_at: number | null }[] }>("GET", "/api/v1/notices");
    ask(t("提醒", "Notices"), [], async () => {
      await api("POST", "/api/v1/notices/read", {});
      await badge();
    }, notices.length ? h("ol", { class: "timeline" }, notices.map((n) => h("li", { class: n.read_at ? "" : "unread" }, h("time", { class: "num" }, local(n.created_at)), n.link ? h("a", { href: n.link }, n.title) : h("b", null, n.title), h("span", null, n.body)))) : h("p", { class: "empty" }, t("没有提醒。", "No notices.")));
  } catch (error) {
    fail(error);
  }
}

async function badge(): Promise<void> {
  const { unread } = await api<{ unread: number }>("GET", "/api/v1/notices");
  byId("task-notices").textContent = unread ? t(`提醒 (${unread})`, `Notices (${unread})`) : t("提醒", "Notices");
}

byId("task-new").addEventListener("click", () => void order().catch(fail));
byId("task-handover").addEventListener("click", () => void handOver().catch(fail));
byId("task-notices").addEventListener("click", () => void notices());
frame();
void load().then(() => (new URLSearchParams(location.search).get("order") ? order() : undefined)).catch(fail);
void badge().catch(() => undefined);
