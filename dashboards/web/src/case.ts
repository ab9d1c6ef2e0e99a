// The case file: marks that follow the query, the outline, and what the API tells beside the texts.

import { api, byId, h, message, t } from "./lib/dom";
import { caseLink, marked } from "./cases/parts";

interface Confirmation { item: string; value: string; verdict: string; by: string; at: number }
interface Reading { field: string; label: string; value: string; confidence: number; pending: boolean; place: [number, number]; confirmed?: Confirmation }
interface Party { number: number; role: string; name: string; being: "person" | "organisation"; followed: boolean }
interface Limit { rule: string; label: string; from: string | null; due: string | null; ended: string | null; state: string; days_left: number | null; basis: string[] }
interface Linked { dataset: string; id: string; title: string; label: string; confidence: number; reasons: string[]; pending: boolean; confirmed?: Confirmation }
interface CaseFile {
  readings: Reading[];
  sections: { part: string; place: [number, number] }[];
  parties: Party[];
  limits: Limit[];
  children: { dataset: string; label: string; columns: string[]; rows: string[][] }[];
  linked: Linked[];
  looks: { at: number; actor: string; action: string; purpose: string | null }[];
}

const article = byId("document");
const dataset = article.dataset.dataset ?? "";
const id = article.dataset.id ?? "";
const words = article.dataset.words ?? "";
const base = `/api/v1/cases/${encodeURIComponent(dataset)}/${encodeURIComponent(id)}`;
const when = (ms: number) => new Date(ms + 8 * 3600_000).toISOString().slice(0, 16).replace("T", " ");
const PARTS: Record<string, string> = { header: "首部", claims: "诉称、指控", defence: "辩称", findings: "审理查明", reasoning: "本院认为", ruling: "裁判结果", signature: "尾部", appendix: "附录" };

/** The paragraph that holds a character of a field. */
function paragraphAt(field: string | undefined, at: number): HTMLElement | undefined {
  const all = [...article.querySelectorAll<HTMLElement>(field ? `.text[data-field="${field}"] p` : ".text p")];
  return all.filter((p) => Number(p.dataset.at) <= at).pop();
}

/** Marks where the server's reading of the query matches, and walks from one to the next. */
async function marks(): Promise<void> {
  if (!words) return;
  const bar = byId("mark-bar");
  bar.hidden = false;
  const answer = await api<{ marks: Record<string, [number, number][]> }>("GET", `/api/v1/cases/${encodeURIComponent(id)}?dataset=${encodeURIComponent(dataset)}&q=${encodeURIComponent(words)}`);
  for (const box of article.querySelectorAll<HTMLElement>(".text")) {
    const spans = answer.marks[box.dataset.field ?? ""] ?? [];
    for (const p of box.querySelectorAll<HTMLElement>("p")) {
      const at = Number(p.dataset.at);
      const length = Array.from(p.textContent ?? "").length;
      const own = spans.filter(([s, e]) => e > at && s < at + length).map(([s, e]): [number, number] => [Math.max(0, s - at), Math.min(length, e - at)]);
      if (own.length) p.replaceChildren(...marked({ text: p.textContent ?? "", marks: own }));
    }
  }
  const found = [...article.querySelectorAll<HTMLElement>(".text mark")];
  if (!found.length) {
    bar.textContent = t(`正文中没有「${words}」。`, `“${words}” is not in the text.`);
    return;
  }
  let at = -1;
  const place = h("span", { class: "num" }, `0 / ${found.length}`);
  const step = (by: number) => {
    found[at]?.classList.remove("current");
    at = (at + by + found.length) % found.length;
    found[at]?.classList.add("current");
    found[at]?.scrollIntoView({ block: "center" });
    place.textContent = `${at + 1} / ${found.length}`;
  };
  bar.replaceChildren(h("span", null, t(`「${words}」共 ${found.length} 处`, `“${words}”: ${found.length} places`)),
    h("button", { type: "button", onclick: () => step(-1), "aria-keyshortcuts": "p" }, t("上一处", "Previous")), h("button", { type: "button", id: "mark-next", onclick: () => step(1), "aria-keyshortcuts": "n" }, t("下一处", "Next")), place);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || (event.target as HTMLElement).closest("input, textarea, select")) return;
    if (event.key === "n") step(1);
    else if (event.key === "p") step(-1);
  });
}

async function confirm(item: string, value: string, verdict: string): Promise<void> {
  await api("POST", `${base}/confirmations`, { item, value, verdict });
  await load();
}

const VERDICTS: Record<string, string> = { confirmed: "已确认", corrected: "已更正", rejected: "已否定" };
const said = (c: Confirmation) => h("span", { class: "state good" }, `${VERDICTS[c.verdict] ?? c.verdict}${c.verdict === "corrected" ? `：${c.value}` : ""} · ${c.by} ${when(c.at)}`);

function readings(list: Reading[]): void {
  const open = list.filter((r) => r.pending || r.confirmed);
  byId("readings").replaceChildren(...(open.length ? [h("h3", null, t("待确认", "To confirm")), h("ul", { class: "plain-list confirm-list" }, open.map((r) => {
    const edit = h("input", { value: r.value, "aria-label": r.label });
    const go = h("button", { type: "button", class: "link", onclick: () => {
      const p = paragraphAt(undefined, r.place[0]);
      p?.scrollIntoView({ block: "center" });
      p?.classList.add("flash");
    } }, t("看原文", "Show"));
    return h("li", null, h("b", null, r.label), r.confirmed ? said(r.confirmed) : [edit, r.place[1] > r.place[0] ? go : null,
      h("button", { type: "button", onclick: () => void confirm(`field:${r.field}`, edit.value, edit.value === r.value ? "confirmed" : "corrected") }, t("确认", "Confirm"))]);
  }))] : []));
}

function parties(list: Party[]): void {
  byId("party-list").replaceChildren(list.length ? h("dl", { class: "parties" }, list.map((p) => {
    const out = h("div", { class: "party-cases" });
    const find = h("button", { type: "button", class: "link", onclick: async () => {
      find.disabled = true;
      try {
        const cases = await api<{ id: string; title: string; court: string; date: string; role: string }[]>("GET", `${base}/parties/${p.number}`);
        out.replaceChildren(cases.length ? h("ul", null, cases.map((c) => h("li", null, h("a", { href: caseLink(dataset, c.id, "") }, c.title), h("span", { class: "meta" }, [c.role, c.court, c.date].filter(Boolean).join(" · "))))) : h("p", { class: "hint" }, t("您可见的案件中没有同名的当事人。", "None that you may see.")));
      } catch (error) {
        out.replaceChildren(h("p", { class: "error" }, message(error)));
      }
    } }, t("其他案件", "Other cases"));
    return h("div", null, h("dt", null, p.role), h("dd", null, p.name, " ", p.followed ? find : null, out));
  })) : h("p", { class: "hint" }, t("正文中没有读出当事人。", "No parties were read.")));
}

function limits(list: Limit[]): void {
  byId("limits").replaceChildren(...(list.length ? [h("h3", null, t("法定期限", "Limits")), h("ul", { class: "limits" }, list.map((l) => h("li", { class: /超期/.test(l.state) ? "late" : /临期|当日/.test(l.state) ? "soon" : "" },
    h("b", null, l.label), h("span", { class: "state" }, l.state),
    h("small", null, [l.from && t(`自 ${l.from}`, `from ${l.from}`), l.due && t(`届满 ${l.due}`, `due ${l.due}`), l.ended && t(`办结 ${l.ended}`, `ended ${l.ended}`), l.days_left !== null && t(`余 ${l.days_left} 天`, `${l.days_left} days left`)].filter(Boolean).join("，")),
    h("small", { class: "basis" }, l.basis.slice(0, 2).join("；")))))] : []));
}

function linked(list: Linked[]): void {
  byId("linked-list").replaceChildren(list.length ? h("ul", { class: "plain-list linked" }, list.map((l) => h("li", null,
    h("a", { href: caseLink(l.dataset, l.id, "") }, l.title), h("span", { class: "meta" }, `${l.label} · ${l.reasons.join("；")}`),
    l.confirmed ? said(l.confirmed) : l.pending ? h("span", { class: "pending" }, h("span", { class: "state" }, t("待确认", "to confirm")),
      h("button", { type: "button", onclick: () => void confirm(`link:${l.dataset}/${l.id}`, "", "confirmed") }, t("是同一案", "Same case")), h("button", { type: "button", onclick: () => void confirm(`link:${l.dataset}/${l.id}`, "", "rejected") }, t("不是", "No"))) : null)))
    : h("p", { class: "hint" }, t("没有关联的案件或文书。", "Nothing is linked.")));
}

const LOOKS: Record<string, string> = { open_case: "打开", confirm: "确认", party_cases: "查当事人", read: "读取" };

async function load(): Promise<void> {
  try {
    const file = await api<CaseFile>("GET", `${base}/file`);
    readings(file.readings);
    parties(file.parties);
    limits(file.limits);
    linked(file.linked);
    const parts = file.sections.filter((s) => PARTS[s.part]);
    byId("outline").hidden = parts.length < 2;
    byId("outline-list").replaceChildren(...parts.map((s) => h("li", null, h("button", { type: "button", class: "link", onclick: () => paragraphAt(undefined, s.place[0])?.scrollIntoView({ block: "start" }) }, PARTS[s.part] ?? s.part))));
    for (const s of parts) paragraphAt(undefined, s.place[0])?.setAttribute("data-part", PARTS[s.part] ?? "");
    byId("children").replaceChildren(...file.children.map((c) => h("section", { class: "panel" }, h("h2", null, c.label), h("div", { class: "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, c.columns.map((n) => h("th", null, n)))), h("tbody", null, c.rows.map((r) => h("tr", null, r.slice(1).map((cell) => h("td", null, cell))))))))));
    byId("look-list").replaceChildren(file.looks.length ? h("ul", { class: "looks" }, file.looks.slice(0, 20).map((l) => h("li", null, h("span", { class: "num" }, when(l.at)), ` ${l.actor} ${LOOKS[l.action] ?? l.action}`, l.purpose ? h("small", null, l.purpose) : null))) : h("p", { class: "hint" }, t("没有查阅记录。", "Nobody has looked.")));
  } catch (error) {
    for (const name of ["party-list", "linked-list", "look-list"]) byId(name).replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
  }
}

void marks();
void load();
