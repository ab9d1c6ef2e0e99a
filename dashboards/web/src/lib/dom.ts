// Building elements and talking to the API, for every page.

type Child = Node | string | number | null | undefined | false;
type Attrs = Record<string, unknown>;

/** An element with attributes, listeners (`onclick`) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attrs?: Attrs | null, ...children: (Child | Child[])[]): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  set(el, attrs);
  el.append(...nodes(children));
  return el;
}

function set(el: Element, attrs?: Attrs | null): void {
  for (const [key, value] of Object.entries(attrs ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") el.addEventListener(key.slice(2), value as EventListener);
    else if (key === "value") (el as HTMLInputElement).value = String(value);
    else if (key === "checked" || key === "selected" || key === "disabled" || key === "hidden") (el as unknown as Record<string, boolean>)[key] = true;
    else el.setAttribute(key, value === true ? "" : String(value));
  }
}

function nodes(children: (Child | Child[])[]): (Node | string)[] {
  return children.flat().filter((c): c is Node | string | number => c !== null && c !== undefined && c !== false).map((c) => (typeof c === "number" ? String(c) : c));
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag: string, attrs: Record<string, string | number>, ...children: SVGElement[]): SVGElement {
  const el = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attrs)) el.setAttribute(key, String(value));
  el.append(...children);
  return el;
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const el = document.getElementById(id);
  if (!el) throw new Error(`no element #${id}`);
  return el as T;
}

export function pageData<T>(): T {
  return JSON.parse(byId("page-data").textContent ?? "null") as T;
}

export const english = document.documentElement.lang.startsWith("en");
/** One of two texts in the page's language. */
export const t = (zh: string, en: string): string => (english ? en : zh);

export interface Problem {
  title?: string;
  detail?: string;
  hint?: string;
  code?: string;
  instance?: string;
  errors?: { field: string; message: string }[];
}

/** An answer of the API that is not a success. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
    readonly etag: string | null = null,
  ) {
    super([problem.detail ?? problem.title ?? `HTTP ${status}`, problem.hint].filter(Boolean).join(t("。", ". ")));
  }
}

export function csrf(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf"]')?.content ?? "";
}

/** The page's language goes along, so that labels come back in it. */
function withLang(path: string): string {
  return english && path.startsWith("/api/") && !path.includes("lang=") ? path + (path.includes("?") ? "&" : "?") + "lang=en" : path;
}

export async function send(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (method !== "GET") headers.set("x-csrf-token", csrf());
  let payload = init.body;
  if (body !== undefined) {
    headers.set("content-type", "application/json");
    payload = JSON.stringify(body);
  }
  const response = await fetch(withLang(path), { ...init, method, headers, body: payload, credentials: "same-origin" });
  if (response.status === 401 && !path.endsWith("/session")) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!response.ok && response.status !== 304) {
    const problem = await response.json().catch(() => ({}));
    throw new ApiError(response.status, problem as Problem, response.headers.get("etag"));
  }
  return response;
}

export async function api<T>(method: string, path: string, body?: unknown, init?: RequestInit): Promise<T> {
  const response = await send(method, path, body, init);
  return (response.status === 204 ? null : await response.json()) as T;
}

/** Saves what a response holds under the name that the server gave. */
export async function download(response: Response, fallback: string): Promise<void> {
  const disposition = response.headers.get("content-disposition") ?? "";
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(disposition)?.[1];
  const plain = /filename="?([^";]+)"?/i.exec(disposition)?.[1];
  const url = URL.createObjectURL(await response.blob());
  const link = h("a", { href: url, download: encoded ? decodeURIComponent(encoded) : (plain ?? fallback) });
  document.body.append(link);
  link.click();
  link.remove();
  URL.revokeObjectURL(url);
}

export function message(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return t("连不上服务器，请检查网络", "The server cannot be reached");
  return error instanceof Error ? error.message : String(error);
}
