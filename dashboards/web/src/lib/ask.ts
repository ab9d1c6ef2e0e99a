// A dialog that asks for a few values, in place of the browser's prompt.

import { h, message, t } from "./dom";

export interface Question {
  name: string;
  label: string;
  kind?: "text" | "long" | "date" | "datetime" | "number" | "select" | "file";
  options?: [string, string][];
  required?: boolean;
  value?: string;
  hint?: string;
  maxlength?: number;
}

type Input = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

/** Shows the questions; `done` gets the answers and may throw what is wrong, which is then shown. */
export function ask(title: string, questions: Question[], done: (answers: Record<string, string>) => Promise<void>, extra?: HTMLElement): void {
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const inputs = new Map<string, Input>();
  const rows = questions.map((q) => {
    const shared = { name: q.name, required: q.required, maxlength: q.maxlength };
    const input: Input =
      q.kind === "long" ? h("textarea", { ...shared, value: q.value ?? "" })
      : q.kind === "select" ? h("select", shared, q.required && !q.value ? h("option", { value: "" }, t("请选择", "choose")) : q.required ? null : h("option", { value: "" }, "–"), (q.options ?? []).map(([v, label]) => h("option", { value: v, selected: v === q.value }, label)))
      : h("input", { ...shared, type: q.kind === "datetime" ? "datetime-local" : q.kind ?? "text", value: q.value ?? "", autocomplete: "off" });
    inputs.set(q.name, input);
    return h("label", null, h("span", null, q.label, q.required ? h("span", { class: "req" }, " *") : null), input, q.hint ? h("span", { class: "hint" }, q.hint) : null);
  });
  const submit = h("button", { type: "submit", class: "primary" }, t("确定", "OK"));
  const close = () => {
    dialog.close();
    dialog.remove();
  };
  const form = h("form", { class: "stack", novalidate: true }, h("h2", null, title), rows, extra ?? null, error, h("div", { class: "form-foot" }, h("button", { type: "button", onclick: close }, t("取消", "Cancel")), submit));
  const dialog = h("dialog", { class: "ask", "aria-label": title }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const answers: Record<string, string> = {};
    for (const q of questions) {
      const input = inputs.get(q.name);
      const value = input?.value.trim() ?? "";
      input?.removeAttribute("aria-invalid");
      if (q.required && !value) {
        input?.setAttribute("aria-invalid", "true");
        input?.focus();
        error.textContent = t(`请填写「${q.label}」`, `Please fill in “${q.label}”`);
        error.hidden = false;
        return;
      }
      answers[q.name] = value;
    }
    submit.disabled = true;
    done(answers).then(close).catch((problem: unknown) => {
      submit.disabled = false;
      error.textContent = message(problem);
      error.hidden = false;
    });
  });
  dialog.addEventListener("cancel", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  form.querySelector<HTMLElement>("input, select, textarea")?.focus();
}

/** `2026-03-15T17:00` of a form as a moment in the city's zone. */
export const moment = (text: string): string | null => (text ? `${text.length === 10 ? `${text}T23:59` : text}:00+08:00` : null);

/** Milliseconds as `2026-03-15 07:30`, in the city's zone. */
export const local = (ms: number | null | undefined): string => (ms ? new Date(ms + 8 * 3_600_000).toISOString().slice(0, 16).replace("T", " ") : "");
