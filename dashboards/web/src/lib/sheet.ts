// The side sheet: where a mark leads, and the rows behind it.

import { api, byId, h, message, t } from "./dom";
import { decimal } from "./format";
import { renderTable } from "./table";
import type { Cell, Drill, Query, Table } from "./types";

const PREVIEW = 50;

interface DrillsOut {
  drills: Drill[];
  not_narrowed?: string[];
}

let asked = 0;

/** Opens the sheet on a mark of a query: the permitted next steps, and the rows if they may be seen. */
export async function openSheet(title: string, sub: string, query: Query, cell: Cell, rowHref: (dataset: string, id: string) => string | null): Promise<void> {
  const sheet = byId<HTMLDialogElement>("sheet");
  const drills = byId("sheet-drills");
  const body = byId("sheet-body");
  const turn = ++asked;
  byId("sheet-title").textContent = title;
  byId("sheet-sub").textContent = sub;
  drills.replaceChildren();
  body.replaceChildren(h("p", { class: "empty" }, t("正在读取…", "Loading…")));
  if (!sheet.open) sheet.showModal();
  try {
    const out = await api<DrillsOut>("POST", "/api/v1/query/drills", { query, cell });
    if (turn !== asked) return;
    drills.replaceChildren(...out.drills.map((d) => h("a", { class: d.kind === "rows" ? "button primary" : "button", href: d.href }, d.label)));
    if (out.not_narrowed?.length) drills.append(h("p", { class: "hint" }, t("“其他”合并了多个组，列出的是全部组的记录。", "“Others” holds several groups; the rows of all groups are listed.")));
    const rows = out.drills.find((d) => d.kind === "rows");
    if (!rows) {
      body.replaceChildren(h("p", { class: "empty" }, t("您的角色只能查看统计数字，明细不可见。", "Your role sees figures only.")));
      return;
    }
    const page = await api<Table>("POST", "/api/v1/query", { ...rows.query, limit: PREVIEW });
    if (turn !== asked) return;
    const total = page.meta.total ?? page.rows.length;
    const id = page.columns.findIndex((c) => c.name === "id");
    body.replaceChildren(
      h("p", { class: "hint" }, total > page.rows.length ? t(`共 ${decimal(total)} 条，显示前 ${page.rows.length} 条`, `${decimal(total)} rows, the first ${page.rows.length} shown`) : t(`共 ${decimal(total)} 条`, `${decimal(total)} rows`)),
      renderTable(page, { query: rows.query, href: (row) => (id < 0 ? null : rowHref(rows.query.dataset, String(row[id]))) }),
    );
  } catch (error) {
    if (turn === asked) body.replaceChildren(h("p", { class: "error" }, message(error)));
  }
}

export function setUpSheet(): void {
  const sheet = byId<HTMLDialogElement>("sheet");
  sheet.addEventListener("click", (event) => {
    const target = event.target as HTMLElement;
    if (target === sheet || target.closest("[data-action=close]")) sheet.close();
  });
}
