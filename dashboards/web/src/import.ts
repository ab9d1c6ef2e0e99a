// Import in three steps: a file, a look at it with the columns mapped, the outcome with what was
// set aside. The rows set aside can be corrected and sent again.

import { ApiError, type Problem, byId, csrf, download, english, h, message, pageData, send, t } from "./lib/dom";
import { decimal } from "./lib/format";
import type { DatasetView } from "./lib/types";

interface Page {
  datasets: DatasetView[];
  chosen: string | null;
}

interface Preview {
  format: string;
  encoding: string | null;
  delimiter: string | null;
  sheets: string[];
  columns: { name: string; samples: string[]; suggested_field: string | null }[];
  rows: string[][];
  problem: string | null;
  checked: number;
  failed: number;
  errors: { line: number; column: string; value: string; reason: string }[];
}

interface Outcome {
  read: number;
  loaded: number;
  duplicates: number;
  quarantined: number;
  quarantine_url: string | null;
  seconds: number;
  rows_per_second: number;
}

/** Of a large file only the beginning is sent for the preview; text formats can be cut at a line. */
const PREVIEW_BYTES = 1 << 20;
const CRS: [string, string][] = [["wgs84", "WGS-84"], ["cgcs2000", "CGCS2000"], ["gcj02", "GCJ-02"], ["bd09", "BD-09"], ["web-mercator", "Web Mercator"]];

const root = document.getElementById("import");
if (root) start(root, pageData<Page>());

function start(root: HTMLElement, page: Page): void {
  let dataset = page.datasets.find((d) => d.name === page.chosen) ?? page.datasets[0];
  let file: File | null = null;
  let sheet = "";
  let encoding = "";
  /** Field to column; a point has two. */
  let columns = new Map<string, string>();
  let crs = "wgs84";

  const step = (name: string) => {
    for (const li of byId("steps").querySelectorAll<HTMLElement>("li")) {
      if (li.dataset.step === name) li.setAttribute("aria-current", "step");
      else li.removeAttribute("aria-current");
    }
  };

  const upload = (path: string, body: Blob, name: string, mapping: unknown, progress?: (sent: number, all: number) => void) =>
    new Promise<unknown>((resolve, reject) => {
      const form = new FormData();
      if (mapping) form.append("mapping", JSON.stringify(mapping));
      form.append("file", body, name);
      const request = new XMLHttpRequest();
      request.open("POST", path + (english ? (path.includes("?") ? "&" : "?") + "lang=en" : ""));
      request.setRequestHeader("x-csrf-token", csrf());
      request.upload.onprogress = (e) => progress?.(e.loaded, e.total);
      request.onload = () => {
        const answer = parse(request.responseText);
        if (request.status < 400) resolve(answer);
        else reject(new ApiError(request.status, (answer ?? {}) as Problem));
      };
      request.onerror = () => reject(new TypeError("network"));
      request.send(form);
    });

  const mapping = () => {
    const fields: Record<string, unknown> = {};
    for (const [key, column] of columns) {
      const [field, axis] = key.split("\u0000");
      if (!field || !column) continue;
      if (axis) {
        const x = columns.get(`${field}\u0000x`);
        const y = columns.get(`${field}\u0000y`);
        if (x && y) fields[field] = { x, y, crs };
      } else fields[field] = { column };
    }
    return { name: "page", dataset: dataset?.name ?? "", auto: false, format: { ...(sheet ? { sheet } : {}), ...(encoding ? { encoding } : {}) }, columns: fields };
  };

  const choose = () => {
    step("file");
    const picker = h("input", { type: "file", accept: ".csv,.tsv,.txt,.jsonl,.ndjson,.xlsx,.parquet,.gz", class: "visually-hidden", id: "file", onchange: () => picker.files?.[0] && take(picker.files[0]) });
    const drop = h("label", { class: "drop", for: "file" },
      h("b", null, t("把文件拖到这里，或点击选择", "Drop a file here, or choose one")),
      h("span", { class: "hint" }, t("CSV、TSV、JSONL、XLSX、Parquet，也可以是 .gz；编码自动识别（UTF-8、GB18030）", "CSV, TSV, JSONL, XLSX or Parquet, also as .gz; the encoding is detected")),
      h("span", { class: "button primary" }, t("选择文件", "Choose a file")), picker);
    drop.addEventListener("dragover", (e) => {
      e.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (e) => {
      e.preventDefault();
      drop.classList.remove("over");
      const dropped = e.dataTransfer?.files[0];
      if (dropped) take(dropped);
    });
    root.replaceChildren(h("div", { class: "block" },
      h("label", null, t("导入到 ", "Into "), h("select", { id: "dataset", onchange: (e: Event) => (dataset = page.datasets.find((d) => d.name === (e.target as HTMLSelectElement).value) ?? dataset) },
        page.datasets.map((d) => h("option", { value: d.name, selected: d === dataset }, d.label))), " ", dataset ? h("a", { href: `/datasets/${dataset.name}` }, t("字段说明", "fields")) : null)), drop);
  };

  const take = (chosen: File) => {
    file = chosen;
    columns = new Map();
    sheet = "";
    encoding = "";
    void look(true);
  };

  /** Asks for a preview; `fresh`: takes the suggested columns. */
  const look = async (fresh: boolean) => {
    if (!file || !dataset) return;
    step("map");
    const busy = h("p", { class: "empty" }, t("正在读取文件…", "Reading the file…"));
    if (fresh) root.replaceChildren(busy);
    try {
      const text = /\.(csv|tsv|txt|jsonl|ndjson)$/i.test(file.name);
      const head = text && file.size > PREVIEW_BYTES ? await wholeLines(file) : file;
      const preview = (await upload(`/api/v1/import/${dataset.name}?preview=1`, head, file.name, fresh ? null : mapping())) as Preview;
      if (fresh) suggest(preview);
      map(preview);
    } catch (error) {
      root.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)), h("p", null, h("button", { type: "button", onclick: choose }, t("换一个文件", "Another file"))));
    }
  };

  const suggest = (preview: Preview) => {
    for (const field of dataset?.fields ?? []) {
      const found = preview.columns.find((c) => c.suggested_field === field.name);
      if (field.type === "point") {
        const by = (pattern: RegExp) => preview.columns.find((c) => pattern.test(c.name))?.name ?? "";
        const [x, y] = [by(/^(lon|lng|longitude|x|经度)/i), by(/^(lat|latitude|y|纬度)/i)];
        if (x && y) {
          columns.set(`${field.name}\u0000x`, x);
          columns.set(`${field.name}\u0000y`, y);
        }
      } else if (found) columns.set(field.name, found.name);
    }
  };

  const map = (preview: Preview) => {
    if (!dataset || !file) return;
    const options = (chosen: string) => [h("option", { value: "" }, t("（不导入）", "(leave out)")), ...preview.columns.map((c) => h("option", { value: c.name, selected: c.name === chosen }, c.name))];
    const pick = (key: string, label: string) => h("select", { "aria-label": label, onchange: (e: Event) => {
      columns.set(key, (e.target as HTMLSelectElement).value);
      void look(false);
    } }, options(columns.get(key) ?? ""));
    const samples = (name: string | undefined) => preview.columns.find((c) => c.name === name)?.samples.slice(0, 3).join("，") ?? "";
    const rows = dataset.fields.map((field) => {
      const missing = field.required && !columns.get(field.name);
      const cell = field.type === "point"
        ? h("span", { class: "query-row" }, pick(`${field.name}\u0000x`, `${field.label} X`), pick(`${field.name}\u0000y`, `${field.label} Y`), h("select", { "aria-label": t("坐标系", "Coordinate system"), onchange: (e: Event) => {
          crs = (e.target as HTMLSelectElement).value;
          void look(false);
        } }, CRS.map(([v, text]) => h("option", { value: v, selected: v === crs }, text))))
        : pick(field.name, field.label);
      return h("tr", null, h("td", null, h("b", null, field.label), " ", h("code", null, field.name), field.required ? h("span", { class: "bad" }, t(" 必填", " required")) : null), h("td", null, cell, missing ? h("span", { class: "bad" }, t(" 请选择列", " choose a column")) : null), h("td", { class: "long" }, h("span", null, samples(columns.get(field.name) ?? columns.get(`${field.name}\u0000x`)))));
    });
    const facts = [file.name, size(file.size), preview.format.toUpperCase(), preview.encoding, preview.delimiter && t(`分隔符 ${show(preview.delimiter)}`, `delimiter ${show(preview.delimiter)}`)].filter(Boolean).join(" · ");
    const sheets = preview.sheets.length > 1 ? h("label", null, t("工作表 ", "Sheet "), h("select", { onchange: (e: Event) => {
      sheet = (e.target as HTMLSelectElement).value;
      columns = new Map();
      void look(false).then(() => undefined);
    } }, preview.sheets.map((name) => h("option", { value: name, selected: name === sheet }, name)))) : null;
    const codings = preview.encoding ? h("label", null, t("编码 ", "Encoding "), h("select", { onchange: (e: Event) => {
      encoding = (e.target as HTMLSelectElement).value;
      void look(false);
    } }, ["", "utf-8", "gb18030", "utf-16le", "windows-1252"].map((v) => h("option", { value: v, selected: v === encoding }, v || t("自动", "detected"))))) : null;
    const verdict = preview.problem
      ? h("p", { class: "error", role: "alert" }, preview.problem)
      : preview.failed
        ? h("p", { class: "bad" }, t(`试读 ${decimal(preview.checked)} 行，${decimal(preview.failed)} 行有问题，导入时会放入隔离文件。`, `${decimal(preview.checked)} rows tried, ${decimal(preview.failed)} would be set aside.`))
        : h("p", { class: "good" }, t(`试读 ${decimal(preview.checked)} 行，没有问题。`, `${decimal(preview.checked)} rows tried, none has a problem.`));
    root.replaceChildren(
      h("div", { class: "block" }, h("p", null, h("b", null, dataset.label), ` ← ${facts}`), h("div", { class: "filters" }, sheets, codings), verdict),
      h("div", { class: "block" }, h("h2", null, t("列与字段", "Columns and fields")), h("div", { class: "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, [t("字段", "Field"), t("文件中的列", "Column of the file"), t("样例", "Samples")].map((x) => h("th", { scope: "col" }, x)))), h("tbody", null, rows)))),
      errorsBlock(preview.errors) ?? "",
      h("div", { class: "block" }, h("h2", null, t("文件的前几行", "The first rows")), h("div", { class: "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, preview.columns.map((c) => h("th", { scope: "col" }, c.name)))), h("tbody", null, preview.rows.slice(0, 10).map((r) => h("tr", null, r.map((v) => h("td", { class: v.length > 40 ? "long" : "nowrap" }, h("span", null, v))))))))),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: choose }, t("换一个文件", "Another file")), h("button", { type: "button", class: "primary", id: "run", disabled: Boolean(preview.problem), onclick: () => void run() }, t("开始导入", "Import"))),
    );
  };

  const errorsBlock = (errors: Preview["errors"]) => errors.length ? h("div", { class: "block" }, h("h2", null, t("有问题的行", "Rows with problems")), h("div", { class: "scroll" }, h("table", { class: "grid" }, h("thead", null, h("tr", null, [t("行", "Line"), t("列", "Column"), t("值", "Value"), t("原因", "Reason")].map((x) => h("th", { scope: "col" }, x)))), h("tbody", null, errors.slice(0, 50).map((e) => h("tr", null, h("td", { class: "num" }, decimal(e.line)), h("td", null, e.column), h("td", { class: "long" }, h("span", null, e.value)), h("td", null, e.reason))))))) : null;

  const run = async () => {
    if (!file || !dataset) return;
    step("done");
    const bar = h("progress", { max: 100, value: 0, "aria-label": t("进度", "Progress") });
    const line = h("p", { class: "hint" }, t("正在上传…", "Uploading…"));
    root.replaceChildren(h("div", { class: "block" }, h("p", null, h("b", null, file.name)), bar, line));
    try {
      const out = (await upload(`/api/v1/import/${dataset.name}`, file, file.name, mapping(), (sent, all) => {
        bar.value = all ? (sent / all) * 100 : 0;
        line.textContent = sent < all ? `${t("正在上传", "Uploading")} ${size(sent)} / ${size(all)}` : t("正在检查并写入…", "Checking and storing…");
        if (sent >= all) bar.removeAttribute("value");
      })) as Outcome;
      await done(out);
    } catch (error) {
      root.replaceChildren(h("p", { class: "error", role: "alert" }, message(error)), h("div", { class: "actions" }, h("button", { type: "button", onclick: () => void look(false) }, t("返回修改", "Back to the mapping")), h("button", { type: "button", onclick: choose }, t("换一个文件", "Another file"))));
    }
  };

  const done = async (out: Outcome) => {
    if (!dataset) return;
    const tile = (value: number, label: string, tone = "") => h("div", { class: "tile" }, h("b", { class: `num ${tone}` }, decimal(value)), h("span", null, label));
    const url = out.quarantine_url;
    root.replaceChildren(
      h("h2", { class: out.quarantined ? "" : "good" }, out.quarantined ? t("导入完成，有的行被隔离", "Done; some rows were set aside") : t("导入完成", "Done")),
      h("div", { class: "tiles", id: "outcome" }, tile(out.read, t("读取行数", "rows read")), tile(out.loaded, t("已导入", "loaded"), "good"), tile(out.duplicates, t("重复（已有相同数据）", "there already")), tile(out.quarantined, t("隔离（未导入）", "set aside"), out.quarantined ? "bad" : "")),
      h("p", { class: "hint num" }, t(`用时 ${decimal(out.seconds, 1)} 秒，每秒 ${decimal(out.rows_per_second)} 行`, `${decimal(out.seconds, 1)} s, ${decimal(out.rows_per_second)} rows/s`)),
      url ? h("div", { class: "block" },
        h("p", null, t("隔离文件保留了原来的列，并写明行号、列、值和原因。改正后可以直接重新导入。", "The file of rows set aside keeps their columns and says line, column, value and reason. Correct it and import it again.")),
        h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: () => void send("GET", url).then((r) => download(r, "quarantine.csv")) }, t("下载隔离文件", "Download the rows set aside")), h("button", { type: "button", onclick: () => void correct(url) }, t("在此改正", "Correct them here")))) : "",
      h("div", { class: "actions" }, h("button", { type: "button", onclick: choose }, t("继续导入", "Import another file")), h("a", { class: "button", href: `/explore?dataset=${dataset.name}` }, t("查看数据", "See the data")), h("button", { type: "button", class: "quiet", onclick: () => void look(false) }, t("返回列对应", "Back to the mapping"))),
    );
    byId("outcome").scrollIntoView({ block: "nearest" });
  };

  /** Correct the rows set aside as text and send them again with the same mapping. */
  const correct = async (url: string) => {
    const text = await send("GET", url).then((r) => r.text()).catch((error: unknown) => message(error));
    const area = h("textarea", { spellcheck: "false", "aria-label": t("隔离的行", "Rows set aside"), rows: 16, wrap: "off" });
    area.value = text.replace(/^\uFEFF/, "");
    step("map");
    root.replaceChildren(
      h("h2", null, t("改正隔离的行", "Correct the rows set aside")),
      h("p", { class: "hint" }, t("每行最前面的列写明原因；改正后面的值，再重新导入。多余的列不会导入。", "The first columns say why. Correct the values after them and import again; extra columns are left out.")),
      h("div", { class: "field" }, area),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: choose }, t("取消", "Cancel")), h("button", { type: "button", class: "primary", onclick: () => {
        file = new File(["\uFEFF", area.value], "corrected.csv", { type: "text/csv" });
        sheet = "";
        encoding = "";
        void run();
      } }, t("重新导入", "Import again"))),
    );
  };

  choose();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function wholeLines(file: File): Promise<Blob> {
  const bytes = new Uint8Array(await file.slice(0, PREVIEW_BYTES).arrayBuffer());
  const end = bytes.lastIndexOf(10);
  return new Blob([end > 0 ? bytes.slice(0, end + 1) : bytes]);
}

function show(delimiter: string): string {
  return delimiter === "\t" ? "TAB" : delimiter;
}

function size(bytes: number): string {
  return bytes < 1 << 20 ? `${decimal(bytes / 1024, 1)} kB` : `${decimal(bytes / (1 << 20), 1)} MB`;
}

