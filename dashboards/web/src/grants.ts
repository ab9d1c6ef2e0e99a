// Query rights: applications, decisions, withdrawal; and the list of what is to be confirmed.

import { api, byId, h, message, pageData, t } from "./lib/dom";
import { caseLink } from "./cases/parts";

interface Grant {
  id: number;
  user: string;
  dataset: string;
  scope: { regions: string[]; records: string[]; fields: string[] };
  purpose: string;
  days: number;
  state: string;
  created_at: number;
  decided_by: string | null;
  reason: string | null;
  expires_at: number | null;
}
interface Choice { name: string; label: string; regions: [string, string][]; fields: [string, string][] }

const when = (ms: number) => new Date(ms + 8 * 3600_000).toISOString().slice(0, 16).replace("T", " ");
const STATES: Record<string, [string, string]> = { requested: ["待审批", "flat"], approved: ["有效", "good"], refused: ["未批准", "bad"], withdrawn: ["已撤回", "flat"], expired: ["已到期", "flat"] };

function grants(): void {
  const { datasets } = pageData<{ datasets: Choice[] }>();
  const choose = byId<HTMLSelectElement>("g-dataset");
  const what = byId<HTMLSelectElement>("g-what");
  choose.append(...datasets.map((d) => h("option", { value: d.name }, d.label)));
  const labels = (d: Choice | undefined, g: Grant) => [
    ...g.scope.records,
    ...g.scope.regions.map((code) => d?.regions.find(([c]) => c === code)?.[1] ?? (code === "310000" ? t("全市", "whole city") : code)),
    ...g.scope.fields.map((name) => d?.fields.find(([f]) => f === name)?.[1] ?? name),
  ].join("、");
  const fill = () => {
    const d = datasets.find((x) => x.name === choose.value);
    const options = (list: [string, string][]) => list.map(([value, label]) => h("option", { value }, label));
    byId("g-regions").replaceChildren(...options(d?.regions ?? []));
    byId("g-fields").replaceChildren(...options(d?.fields ?? []));
    for (const name of ["records", "regions", "fields"]) byId(`g-${name}-box`).hidden = what.value !== name;
  };
  choose.addEventListener("change", fill);
  what.addEventListener("change", fill);
  fill();

  const item = (g: Grant, mine: boolean) => {
    const d = datasets.find((x) => x.name === g.dataset);
    const [label, tone] = STATES[g.state] ?? [g.state, "flat"];
    const act = (path: string, body: unknown) => async () => {
      try {
        await api("POST", `/api/v1/grants/${g.id}/${path}`, body);
        await load();
      } catch (error) {
        note.textContent = message(error);
      }
    };
    const note = h("p", { class: "error", role: "alert" });
    const reason = h("input", { placeholder: t("理由", "reason"), "aria-label": t("理由", "Reason"), maxlength: 200 });
    const decide = !mine && g.state === "requested";
    return h("li", { "data-grant": g.id },
      h("div", { class: "grant-head" }, h("b", null, `${d?.label ?? g.dataset}：${labels(d, g)}`), h("span", { class: `state ${tone}` }, label)),
      h("p", null, g.purpose),
      h("p", { class: "meta" }, [mine ? "" : g.user, when(g.created_at), t(`${g.days} 天`, `${g.days} days`), g.decided_by ? t(`审批：${g.decided_by}`, `by ${g.decided_by}`) : "", g.expires_at ? t(`至 ${when(g.expires_at)}`, `until ${when(g.expires_at)}`) : "", g.reason ?? ""].filter(Boolean).join(" · ")),
      decide ? h("div", { class: "form-foot" }, reason, h("button", { type: "button", class: "primary", "data-approve": "yes", onclick: () => void act("decision", { approve: true, reason: reason.value || null })() }, t("批准", "Approve")), h("button", { type: "button", onclick: () => void act("decision", { approve: false, reason: reason.value || null })() }, t("不批准", "Refuse"))) : null,
      g.state === "approved" || (mine && g.state === "requested") ? h("div", { class: "form-foot" }, h("button", { type: "button", onclick: () => void act("withdrawal", {})() }, mine ? t("撤回", "Withdraw") : t("收回权限", "Withdraw"))) : null, note);
  };
  const load = async () => {
    const answer = await api<{ own: Grant[]; others: Grant[]; decides: boolean }>("GET", "/api/v1/grants");
    byId("own").replaceChildren(...(answer.own.length ? answer.own.map((g) => item(g, true)) : [h("li", { class: "hint" }, t("还没有申请。", "No applications yet."))]));
    byId("to-decide").hidden = !answer.decides;
    const open = answer.others.filter((g) => g.state === "requested" || g.state === "approved");
    byId("others").replaceChildren(...(open.length ? open.map((g) => item(g, false)) : [h("li", { class: "hint" }, t("没有待审批的申请。", "Nothing to decide."))]));
  };
  const chosen = (name: string) => [...byId<HTMLSelectElement>(name).selectedOptions].map((o) => o.value);
  byId<HTMLFormElement>("apply").addEventListener("submit", async (event) => {
    event.preventDefault();
    const line = byId("g-error");
    line.hidden = true;
    const kind = what.value;
    try {
      await api("POST", "/api/v1/grants", {
        dataset: choose.value,
        records: kind === "records" ? byId<HTMLTextAreaElement>("g-records").value.split(/[\s,，;；、]+/).filter(Boolean) : [],
        regions: kind === "regions" ? chosen("g-regions") : [],
        fields: kind === "fields" ? chosen("g-fields") : [],
        purpose: byId<HTMLTextAreaElement>("g-purpose").value,
        days: Number(byId<HTMLInputElement>("g-days").value),
      });
      byId<HTMLTextAreaElement>("g-purpose").value = "";
      byId<HTMLTextAreaElement>("g-records").value = "";
      await load();
    } catch (error) {
      line.textContent = message(error);
      line.hidden = false;
    }
  });
  load().catch((error: unknown) => byId("own").replaceChildren(h("li", { class: "error" }, message(error))));
}

async function pending(box: HTMLElement): Promise<void> {
  const dataset = box.dataset.dataset ?? "judgment";
  const list = byId("pending-list");
  try {
    const rows = await api<{ id: string; title: string; items: string }[]>("GET", `/api/v1/cases/${encodeURIComponent(dataset)}/pending`);
    byId("pending-count").textContent = t(`${rows.length} 件待确认`, `${rows.length} to confirm`);
    list.replaceChildren(rows.length ? h("table", { class: "grid" }, h("thead", null, h("tr", null, h("th", null, t("文书", "Document")), h("th", null, t("待确认项目", "To confirm")))), h("tbody", null, rows.map((r) => h("tr", null, h("td", null, h("a", { href: `${caseLink(dataset, r.id, "")}#overview` }, r.title)), h("td", null, r.items))))) : h("p", { class: "empty" }, t("没有待确认的项目。", "Nothing is left to confirm.")));
  } catch (error) {
    list.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)));
  }
}

const box = document.getElementById("pending");
if (box) void pending(box);
else grants();
