// What every page has: signing in and out, the menu of phones.

import { ApiError, api, message, send, t } from "./lib/dom";

function action(name: string, run: (el: HTMLElement) => void): void {
  document.querySelectorAll<HTMLElement>(`[data-action="${name}"]`).forEach((el) => el.addEventListener("click", () => run(el)));
}

action("logout", () => {
  send("DELETE", "/api/v1/session")
    .catch(() => undefined)
    .finally(() => location.assign("/login"));
});
action("back", () => history.back());
action("print", () => window.print());
action("menu", (el) => {
  const open = document.getElementById("nav")?.classList.toggle("open") ?? false;
  el.setAttribute("aria-expanded", String(open));
});

// Lists that are found by typing: entries without the words go, and groups without entries.
document.querySelectorAll<HTMLInputElement>("input[data-filter]").forEach((input) => {
  const root = document.querySelector<HTMLElement>(input.dataset.filter ?? "");
  if (!root) return;
  const run = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    root.querySelectorAll<HTMLElement>("[data-filter-text]").forEach((entry) => {
      entry.hidden = !words.every((word) => entry.dataset.filterText?.includes(word));
      if (!entry.hidden) shown++;
    });
    root.querySelectorAll<HTMLElement>("[data-filter-group]").forEach((group) => {
      group.hidden = !group.querySelector("[data-filter-text]:not([hidden])");
    });
    const empty = root.querySelector<HTMLElement>("[data-filter-empty]");
    if (empty) empty.hidden = shown > 0;
  };
  input.addEventListener("input", run);
  input.addEventListener("keydown", (event) => {
    // Enter opens the first that is left.
    if (event.key === "Enter") root.querySelector<HTMLAnchorElement>("[data-filter-text]:not([hidden]) a")?.click();
  });
  run();
});

interface Session {
  csrf: string;
  must_change: boolean;
}

function fail(form: HTMLFormElement, text: string): void {
  const line = form.querySelector<HTMLElement>(".error");
  if (!line) return;
  line.textContent = text;
  line.hidden = !text;
}

const login = document.querySelector<HTMLFormElement>("#login");
if (login) {
  const next = login.dataset.next ?? "/";
  const change = document.querySelector<HTMLFormElement>("#new-password");
  let old = "";
  login.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(login);
    const username = String(data.get("username") ?? "").trim();
    old = String(data.get("password") ?? "");
    if (!username || !old) return fail(login, t("请输入用户名和密码", "Please enter name and password"));
    fail(login, "");
    const button = login.querySelector<HTMLButtonElement>("button[type=submit]");
    if (button) button.disabled = true;
    api<Session>("POST", "/api/v1/session", { username, password: old })
      .then((session) => {
        if (!session.must_change || !change) return location.assign(next);
        document.querySelector<HTMLMetaElement>('meta[name="csrf"]')?.setAttribute("content", session.csrf);
        login.hidden = true;
        change.hidden = false;
        change.querySelector<HTMLInputElement>("input")?.focus();
      })
      .catch((error: unknown) => {
        fail(login, error instanceof ApiError && error.status === 401 && !error.problem.detail ? t("用户名或密码不对", "Wrong name or password") : message(error));
        login.querySelector<HTMLInputElement>("[name=password]")?.select();
      })
      .finally(() => {
        if (button) button.disabled = false;
      });
  });
  change?.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(change);
    if (data.get("new") !== data.get("again")) return fail(change, t("两次输入不一致", "The two entries differ"));
    fail(change, "");
    send("PATCH", "/api/v1/session", { old, new: String(data.get("new") ?? "") })
      .then(() => location.assign(next))
      .catch((error: unknown) => fail(change, message(error)));
  });
}
