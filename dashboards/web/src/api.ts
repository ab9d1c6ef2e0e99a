// The OpenAPI document as a page: paths by tag, parameters, bodies and answers.

import { byId, h, message, t } from "./lib/dom";

type Schema = { $ref?: string; type?: string | string[]; items?: Schema; properties?: Record<string, Schema>; required?: string[]; oneOf?: Schema[]; anyOf?: Schema[]; allOf?: Schema[]; enum?: unknown[]; description?: string; additionalProperties?: Schema | boolean };
interface Operation {
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: Schema }[];
  requestBody?: { content: Record<string, { schema?: Schema }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: Schema }> }>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

const METHODS = ["get", "post", "put", "patch", "delete"];

/** A schema as a short text, references followed to a depth that still reads. */
function shape(doc: Document, schema: Schema | undefined, depth = 0, seen: string[] = []): string {
  if (!schema) return "";
  const pad = "  ".repeat(depth + 1);
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop() ?? "";
    if (depth > 3 || seen.includes(name)) return name;
    return shape(doc, doc.components?.schemas?.[name], depth, [...seen, name]);
  }
  const several = schema.oneOf ?? schema.anyOf;
  if (several) return several.map((s) => shape(doc, s, depth, seen)).join(" | ");
  if (schema.allOf) return schema.allOf.map((s) => shape(doc, s, depth, seen)).join(" & ");
  if (schema.enum) return schema.enum.map((v) => JSON.stringify(v)).join(" | ");
  if (schema.items) return `[${shape(doc, schema.items, depth, seen)}]`;
  if (schema.properties) {
    const lines = Object.entries(schema.properties).map(([name, s]) => {
      const note = s.description ? `  // ${s.description.split("\n")[0] ?? ""}` : "";
      return `${pad}"${name}"${schema.required?.includes(name) ? "" : "?"}: ${shape(doc, s, depth + 1, seen)}${note}`;
    });
    return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  return Array.isArray(schema.type) ? schema.type.join(" | ") : (schema.type ?? "object");
}

function operation(doc: Document, method: string, path: string, op: Operation): HTMLElement {
  const body = h("div", { class: "body" });
  const details = h("details", null, h("summary", null, h("b", null, method.toUpperCase()), h("code", null, path), h("span", null, op.summary ?? "")), body);
  details.addEventListener("toggle", () => {
    if (!details.open || body.childElementCount) return;
    if (op.description) body.append(h("p", null, op.description));
    if (op.parameters?.length) body.append(h("table", { class: "grid" }, h("tbody", null, op.parameters.map((p) => h("tr", null, h("td", null, h("code", null, p.name), p.required ? " *" : ""), h("td", null, p.in), h("td", null, shape(doc, p.schema)), h("td", null, p.description ?? ""))))));
    for (const [type, { schema }] of Object.entries(op.requestBody?.content ?? {})) body.append(h("h3", null, `${t("请求", "Request")} ${type}`), h("pre", { tabindex: 0 }, shape(doc, schema)));
    for (const [status, answer] of Object.entries(op.responses ?? {})) {
      const [type, content] = Object.entries(answer.content ?? {})[0] ?? ["", undefined];
      body.append(h("h3", null, `${status} ${answer.description ?? ""} ${type}`));
      if (content?.schema && Number(status) < 400) body.append(h("pre", { tabindex: 0 }, shape(doc, content.schema)));
    }
  });
  return details;
}

fetch("/api/openapi.json", { credentials: "same-origin" })
  .then((response) => response.json() as Promise<Document>)
  .then((doc) => {
    const tags = new Map<string, HTMLElement[]>();
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const method of METHODS) {
        const op = item[method];
        if (!op) continue;
        const tag = op.tags?.[0] ?? "";
        tags.set(tag, [...(tags.get(tag) ?? []), operation(doc, method, path, op)]);
      }
    }
    byId("api").replaceChildren(...[...tags].flatMap(([tag, list]) => [h("h2", null, tag), ...list]));
  })
  .catch((error: unknown) => byId("api").replaceChildren(h("p", { class: "error" }, message(error))));
