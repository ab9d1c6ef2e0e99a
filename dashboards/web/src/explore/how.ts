// How an answer came about, and how fresh its data is.

import { api, h, message, t } from "../lib/dom";
import { decimal, minute } from "../lib/format";
import type { DatasetView, Query, Table } from "../lib/types";

interface Verdict {
  name: string;
  used: boolean;
  reason?: string;
  detail?: string | null;
}

interface Part {
  dataset: string;
  segments?: { read: number; pruned: number };
  rows?: number;
  columns?: string[];
  rollups?: Verdict[];
  row_rule?: unknown;
}

interface Explanation {
  masked: string[];
  suppressed: boolean;
  data_time: string;
  plan?: { engine: string; parts?: Part[] };
}

const REASONS: Record<string, string> = {
  disabled: t("预聚合已关闭", "rollups are switched off"),
  small_dataset: t("数据量小，直接读明细一样快", "the dataset is small: rows are as fast"),
  not_built: t("尚未建成", "not built yet"),
  too_fine: t("分组太细，不比明细省", "nearly as many groups as rows"),
  too_large: t("超出内存限额", "takes more memory than allowed"),
  behind: t("正在追赶新数据", "catching up with new rows"),
  grain_not_derivable: t("时间粒度推不出", "its grain cannot make this one"),
  range_not_aligned: t("时间范围不在它的整段上", "the range cuts one of its periods"),
  dimension_missing: t("没有这个维度", "lacks the dimension"),
  filter_dimension_missing: t("没有条件用到的字段", "lacks the filtered field"),
  row_rule_dimension_missing: t("没有行权限用到的字段", "lacks the field of your row rule"),
  text_filter: t("全文条件要逐行查", "text conditions need the rows"),
  measure_missing: t("没有这个指标", "lacks the measure"),
  measure_not_additive: t("指标不能由小计相加", "the measure does not add up"),
  larger: t("另一个更小", "another is smaller"),
};

const PHASES: Record<string, string> = { plan: t("规划", "plan"), scan: t("读取汇总", "scan"), finish: t("收尾", "finish"), cache: t("缓存", "cache"), query: t("合计", "in all"), total: t("引擎合计", "engine") };

/** `cache;desc=hit, query;dur=1.2` as pairs. */
export function timings(header: string | null): [string, string | number][] {
  return (header ?? "").split(",").map((one) => {
    const [name = "", value = ""] = one.trim().split(";");
    const [kind, text = ""] = value.split("=");
    return [name, kind === "dur" ? Number(text) : text];
  });
}

/** The panel "how was this computed"; the plan is asked for when it opens. */
export function howPanel(query: Query, table: Table, timing: string | null, seesPlan: boolean): HTMLElement {
  const meta = table.meta;
  const phases = timings(timing);
  const hit = phases.some(([name, value]) => name === "cache" && value === "hit");
  const whole = phases.find(([name]) => name === "query")?.[1];
  const used = meta.rollup ? t(`预聚合 ${meta.rollup}`, `rollup ${meta.rollup}`) : t("明细数据段", "segments of rows");
  const facts: [string, string][] = [
    [t("引擎", "Engine"), meta.engine ?? ""],
    [t("读取", "Read from"), hit ? t("结果缓存", "cache of answers") + ` · ${used}` : used],
    [t("用时", "Took"), typeof whole === "number" ? `${decimal(whole, 1)} ms` : ""],
    [t("扫描行数", "Rows scanned"), meta.rows_scanned ? decimal(meta.rows_scanned) : t("不显示", "not shown")],
    [t("数据版本", "Data version"), Object.entries(meta.data_version ?? {}).map(([name, v]) => `${name} ${v}`).join("、")],
    [t("数据截至", "Data to"), meta.watermark ? instant(meta.watermark) : ""],
    [t("隐去的小数值", "Hidden figures"), decimal(meta.suppressed ?? 0)],
  ];
  const parts = Object.entries(meta.times ?? {}).filter(([name]) => name !== "total");
  const longest = Math.max(0.01, ...parts.map(([, ms]) => ms));
  const bars = parts.map(([name, ms]) => {
    const bar = h("i", { "aria-hidden": "true" });
    bar.style.width = `${Math.max(2, (ms / longest) * 100)}%`;
    return h("li", null, h("span", null, PHASES[name] ?? name), h("span", { class: "track" }, bar), h("b", { class: "num" }, `${decimal(ms, 2)} ms`));
  });
  const plan = h("div", { class: "plan", "aria-live": "polite" });
  const panel = h("details", { class: "how", id: "how" }, h("summary", null, t("怎样算出来的", "How was this computed"), h("span", { class: "num" }, ` ${hit ? t("缓存", "cached") : (meta.rollup ?? t("明细", "rows"))}${typeof whole === "number" ? ` · ${decimal(whole, 1)} ms` : ""}`)),
    h("div", { class: "how-body" },
      h("dl", { class: "how-facts" }, facts.filter(([, v]) => v).map(([k, v]) => h("div", null, h("dt", null, k), h("dd", { class: "num" }, v)))),
      bars.length ? h("ul", { class: "phases", "aria-label": t("各阶段用时", "Time by phase") }, bars) : null, plan));
  let asked = false;
  panel.addEventListener("toggle", () => {
    if (!panel.open || asked) return;
    asked = true;
    const { cursor: _cursor, ...whole } = query;
    api<Explanation>("POST", "/api/v1/query/explain", whole)
      .then((told) => plan.replaceChildren(...planView(told, seesPlan)))
      .catch((error: unknown) => plan.replaceChildren(h("p", { class: "error" }, message(error))));
  });
  return panel;
}

function planView(told: Explanation, seesPlan: boolean): HTMLElement[] {
  const out: HTMLElement[] = [];
  if (told.masked.length) out.push(h("p", { class: "hint" }, t("遮蔽的字段：", "Masked: ") + told.masked.join("、")));
  if (told.suppressed) out.push(h("p", { class: "hint" }, t("涉及人员：小于 10 的数值隐去，其余取 5 的倍数", "About people: figures under 10 are hidden, the others are multiples of 5")));
  if (!told.plan) {
    if (!seesPlan) out.push(h("p", { class: "hint" }, t("执行计划含全市行数，只对可见全市数据的分析角色显示。", "The plan tells of the whole city's rows; it is shown to analysts of the whole city.")));
    return out;
  }
  for (const part of told.plan.parts ?? []) {
    const line = [part.segments ? t(`数据段：读 ${part.segments.read}，跳过 ${part.segments.pruned}`, `segments: ${part.segments.read} read, ${part.segments.pruned} pruned`) : "", part.columns ? t(`列：${part.columns.join("、")}`, `columns: ${part.columns.join(", ")}`) : ""].filter(Boolean).join("；");
    out.push(h("h3", null, part.dataset), h("p", { class: "hint" }, line));
    if (part.rollups?.length) {
      out.push(h("table", { class: "grid rollups" }, h("thead", null, h("tr", null, h("th", null, t("预聚合", "Rollup")), h("th", null, t("采用", "Used")), h("th", null, t("原因", "Reason")))),
        h("tbody", null, part.rollups.map((v) => h("tr", null, h("td", null, h("code", null, v.name)), h("td", null, v.used ? t("是", "yes") : t("否", "no")), h("td", null, v.used ? "" : `${REASONS[v.reason ?? ""] ?? v.reason ?? ""}${v.detail ? `：${v.detail}` : ""}`, " ", v.reason ? h("code", null, v.reason) : null))))));
    }
  }
  return out;
}

function instant(ms: number): string {
  return new Date(ms + 8 * 3_600_000).toISOString().slice(0, 16).replace("T", " ");
}

// ---- the feed ----

interface Feed {
  watermark: string | null;
  loaded_at: string | null;
  age_seconds: number | null;
  days: { day: string; rows: number }[];
  days_missing: number;
  imports: { file: string; at: string; state: string; read: number; loaded: number; duplicates: number; quarantined: number }[];
}

const feeds = new Map<string, Promise<Feed>>();

function age(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  if (days > 0) return t(`${decimal(days)} 天前`, `${decimal(days)} days ago`);
  const hours = Math.floor(seconds / 3600);
  return hours > 0 ? t(`${hours} 小时前`, `${hours} h ago`) : t(`${Math.max(0, Math.floor(seconds / 60))} 分钟前`, `${Math.max(0, Math.floor(seconds / 60))} min ago`);
}

/** One line on freshness and completeness; more behind it. */
export function showFeed(box: HTMLElement, dataset: DatasetView): void {
  const name = dataset.name;
  if (box.dataset.feed === name) return;
  box.dataset.feed = name;
  box.replaceChildren();
  let asked = feeds.get(name);
  if (!asked) {
    asked = api<Feed>("GET", `/api/v1/datasets/${name}/feed`);
    feeds.set(name, asked);
    asked.catch(() => feeds.delete(name));
  }
  asked
    .then((feed) => {
      if (box.dataset.feed !== name) return;
      const words = [
        feed.watermark ? t(`数据截至 ${minute(feed.watermark)}`, `data to ${minute(feed.watermark)}`) + (feed.age_seconds === null ? "" : `（${age(feed.age_seconds)}）`) : t("没有事件时间", "no event time"),
        feed.loaded_at ? t(`最近入库 ${minute(feed.loaded_at)}`, `last load ${minute(feed.loaded_at)}`) : t("尚无数据", "no data yet"),
      ];
      const gap = feed.days.length ? (feed.days_missing ? t(`近 ${feed.days.length} 天缺 ${feed.days_missing} 天`, `${feed.days_missing} of ${feed.days.length} days missing`) : t(`近 ${feed.days.length} 天不缺`, `no day missing of ${feed.days.length}`)) : "";
      const top = Math.max(1, ...feed.days.map((d) => d.rows));
      const spark = h("span", { class: "spark-days", role: "img", "aria-label": gap }, feed.days.map((d) => {
        const bar = h("i", { title: `${d.day}: ${decimal(d.rows)}`, class: d.rows ? undefined : "none" });
        bar.style.height = `${d.rows ? Math.max(12, (d.rows / top) * 100) : 100}%`;
        return bar;
      }));
      const imports = feed.imports.length
        ? h("table", { class: "grid" }, h("thead", null, h("tr", null, [t("文件", "File"), t("时间", "At"), t("读取", "Read"), t("入库", "Loaded"), t("重复", "Duplicates"), t("隔离", "Quarantined")].map((text, i) => h("th", { class: i > 1 ? "num" : undefined }, text)))),
          h("tbody", null, feed.imports.map((i) => h("tr", null, h("td", null, i.file), h("td", { class: "num nowrap" }, minute(i.at)), [i.read, i.loaded, i.duplicates, i.quarantined].map((n) => h("td", { class: "num" }, decimal(n)))))))
        : null;
      const line = h("span", { class: "feed-line" }, h("span", { class: `dot ${feed.days_missing ? "late" : "good"}`, "aria-hidden": "true" }), h("span", { class: "num" }, words.join(" · ")), feed.days.length ? spark : null, gap ? h("span", null, gap) : null);
      box.replaceChildren(imports ? h("details", null, h("summary", null, line), imports) : line);
    })
    .catch(() => box.replaceChildren());
}
