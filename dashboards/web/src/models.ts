// The run engine: every model with its health, last run, schedule and benefit; the runs of one.

import { api, byId, h, message, pageData, t } from "./lib/dom";
import { decimal } from "./lib/format";

interface Run {
  id: number;
  model: string;
  version: string;
  params: Record<string, unknown>;
  inputs: Record<string, number>;
  cause: string;
  owner: string;
  state: "queued" | "running" | "done" | "failed" | "stopped";
  attempts: number;
  progress: number;
  message: string;
  read: number;
  evaluated: number;
  written: number;
  removed: number;
  warnings: number;
  note: string;
  error?: string;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
}

interface Model {
  name: string;
  label: string;
  label_en: string;
  health: string;
  reason: string;
  version: string;
  inputs: string[];
  outputs: string[];
  enabled: boolean;
  every_minutes: number;
  warnings: number;
  confirmed: number;
  dismissed: number;
  closed: number;
  last: Run | null;
  last_good: Run | null;
}

const page = pageData<{ mayAct: boolean; chosen: string | null }>();
let chosen = page.chosen;
let models: Model[] = [];
let timer = 0;

const HEALTH: Record<string, [string, string, string]> = {
  ok: ["正常", "current", "good"],
  stale: ["待更新", "stale", "warn"],
  running: ["运行中", "running", "busy"],
  failing: ["异常", "failing", "bad"],
  never: ["未运行", "never ran", "flat"],
  unavailable: ["不可用", "unavailable", "flat"],
};
const STATES: Record<string, [string, string, string]> = {
  queued: ["排队", "queued", "busy"],
  running: ["运行中", "running", "busy"],
  done: ["完成", "done", "good"],
  failed: ["失败", "failed", "bad"],
  stopped: ["已停止", "stopped", "flat"],
};

function badge(of: [string, string, string] | undefined, fallback: string): HTMLElement {
  return h("span", { class: `badge ${of?.[2] ?? "flat"}` }, of ? t(of[0], of[1]) : fallback);
}

function when(ms: number | null): string {
  if (!ms) return "–";
  // The city's clock, whatever the browser's.
  return new Date(ms + 8 * 3600e3).toISOString().slice(0, 16).replace("T", " ");
}

function took(run: Run): string {
  if (!run.started_at) return "–";
  const seconds = ((run.finished_at ?? Date.now()) - run.started_at) / 1000;
  return seconds < 60 ? `${seconds.toFixed(1)} ${t("秒", "s")}` : `${Math.floor(seconds / 60)} ${t("分", "min")} ${Math.round(seconds % 60)} ${t("秒", "s")}`;
}

const over = (run: Run) => run.state !== "queued" && run.state !== "running";

async function act(button: HTMLButtonElement, work: () => Promise<unknown>): Promise<void> {
  button.disabled = true;
  try {
    await work();
    await load();
  } catch (error) {
    say(message(error));
  } finally {
    button.disabled = false;
  }
}

function say(text: string): void {
  const box = byId("models");
  box.querySelector(".error")?.remove();
  if (text) box.prepend(h("p", { class: "error", role: "alert" }, text));
}

function row(m: Model): HTMLElement {
  const run = m.last;
  const busy = run !== null && !over(run);
  const start = h("button", { type: "button", class: "primary", "data-start": m.name, disabled: m.health === "unavailable", onclick: (e: Event) => {
    chosen = m.name;
    void act(e.currentTarget as HTMLButtonElement, async () => {
      const out = await api<{ created: boolean; id: number }>("POST", `/api/v1/models/${m.name}/runs`, { params: {} });
      if (!out.created) say(t(`规则、参数与数据都没有变化，运行 ${out.id} 的结果仍然有效。`, `Nothing has changed since run ${out.id}.`));
    });
  } }, t("运行", "Run"));
  const stop = h("button", { type: "button", "data-stop": m.name, onclick: (e: Event) => void act(e.currentTarget as HTMLButtonElement, () => api("DELETE", `/api/v1/models/${m.name}/runs/${run?.id}`)) }, t("停止", "Stop"));
  const minutes = h("input", { type: "number", min: 1, max: 10080, value: m.every_minutes, class: "small", "aria-label": t("间隔分钟", "Minutes between looks") });
  const enabled = h("input", { type: "checkbox", checked: m.enabled, "aria-label": t("定时运行", "Scheduled") });
  const schedule = () => void api("PUT", `/api/v1/models/${m.name}/schedule`, { enabled: enabled.checked, every_minutes: Number(minutes.value) }).then(() => say(""), (error: unknown) => say(message(error)));
  minutes.addEventListener("change", schedule);
  enabled.addEventListener("change", schedule);
  const judged = m.confirmed + m.dismissed;
  return h("tr", { "data-model": m.name, "aria-selected": m.name === chosen ? "true" : undefined },
    h("td", null, h("button", { type: "button", class: "link", onclick: () => {
      chosen = m.name;
      draw();
      void runs();
    } }, h("b", null, t(m.label, m.label_en))), h("div", { class: "hint" }, m.name, " · ", t("规则 ", "rules "), m.version)),
    h("td", null, badge(HEALTH[m.health], m.health), h("div", { class: "hint" }, m.reason)),
    h("td", null, run ? [badge(STATES[run.state], run.state), h("span", { class: "hint" }, ` #${run.id} · ${when(run.started_at ?? run.created_at)} · ${took(run)}`),
      busy ? h("progress", { max: 1, value: run.progress, "aria-label": t("进度", "Progress") }) : null,
      busy && run.message ? h("div", { class: "hint" }, run.message) : null,
      run.error ? h("div", { class: "error" }, run.error) : null] : "–"),
    h("td", null, page.mayAct ? h("span", { class: "schedule" }, enabled, t("每", "every"), minutes, t("分钟", "min")) : m.enabled ? t(`每 ${m.every_minutes} 分钟`, `every ${m.every_minutes} min`) : t("手动", "by hand")),
    h("td", { class: "num" }, decimal(m.warnings)),
    h("td", { class: "num" }, decimal(m.confirmed), h("div", { class: "hint" }, judged ? t(`确认率 ${Math.round((100 * m.confirmed) / judged)}%`, `${Math.round((100 * m.confirmed) / judged)}% right`) : t("未核实", "not judged"))),
    h("td", { class: "nowrap" }, page.mayAct ? (busy ? stop : start) : null));
}

function draw(): void {
  const heads = [t("模型", "Model"), t("健康", "Health"), t("最近运行", "Last run"), t("定时", "Schedule"), t("预警", "Warnings"), t("已确认", "Confirmed"), ""];
  const keep = byId("models").querySelector(".error");
  byId("models").replaceChildren(...(keep ? [keep] : []),
    h("div", { class: "scroll" }, h("table", { class: "grid models" }, h("thead", null, h("tr", null, heads.map((text, i) => h("th", { class: i === 4 || i === 5 ? "num" : undefined }, text)))), h("tbody", null, models.map(row)))));
}

async function runs(): Promise<void> {
  const box = byId("runs");
  const model = models.find((m) => m.name === chosen);
  if (!model) return box.replaceChildren();
  const list = await api<Run[]>("GET", `/api/v1/models/${model.name}/runs`);
  const heads = ["#", t("状态", "State"), t("开始", "Started"), t("用时", "Took"), t("由谁", "By"), t("读入", "Read"), t("计算", "Computed"), t("写入", "Written"), t("移除", "Removed"), t("新预警", "New warnings"), t("输入数据版本", "Data versions"), t("说明", "Note")];
  box.replaceChildren(
    h("h2", null, t(`「${model.label}」运行记录`, `Runs of ${model.label_en}`)),
    list.length === 0 ? h("p", { class: "empty" }, t("还没有运行记录。", "No runs yet.")) :
      h("div", { class: "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, heads.map((text, i) => h("th", { class: i >= 5 && i <= 9 ? "num" : undefined }, text)))),
        h("tbody", null, list.map((r) => h("tr", { "data-run": r.id },
          h("td", { class: "num" }, r.id),
          h("td", null, badge(STATES[r.state], r.state), r.attempts > 1 ? h("div", { class: "hint" }, t(`第 ${r.attempts} 次启动`, `started ${r.attempts} times`)) : null),
          h("td", { class: "nowrap num" }, when(r.started_at ?? r.created_at)),
          h("td", { class: "nowrap num" }, took(r)),
          h("td", null, r.cause === "schedule" ? t("定时", "schedule") : r.owner),
          [r.read, r.evaluated, r.written, r.removed, r.warnings].map((n) => h("td", { class: "num" }, decimal(n))),
          h("td", { class: "hint" }, h("div", null, t("规则 ", "rules "), r.version), Object.entries(r.inputs).map(([name, version]) => h("div", { class: "nowrap" }, `${name} v${version}`))),
          h("td", { class: "long" }, r.error ? h("span", { class: "error" }, r.error) : h("span", null, r.note))))))));
}

async function load(): Promise<void> {
  window.clearTimeout(timer);
  try {
    models = await api<Model[]>("GET", "/api/v1/models/health");
    chosen ??= models[0]?.name ?? null;
    // A schedule under somebody's hands is not drawn over.
    if (!byId("models").contains(document.activeElement) || !(document.activeElement instanceof HTMLInputElement)) draw();
    await runs();
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    say(message(error));
  }
  timer = window.setTimeout(() => void load(), models.some((m) => m.last && !over(m.last)) ? 1000 : 15000);
}

void load();
