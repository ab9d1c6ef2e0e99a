// Suggestions below the search box, with the keys of a combobox; typing in an input method is left alone.

import { api, byId, h } from "../lib/dom";
import { decimal } from "../lib/format";
import type { Suggestion } from "./types";

const PAUSE = 120;

export function attach(input: HTMLInputElement, dataset: () => string, submit: () => void): void {
  const list = byId("suggestions");
  let timer = 0;
  let turn = 0;
  let at = -1;
  let shown: Suggestion[] = [];

  const hide = () => {
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  /** Puts the suggestion in place of the word that is being typed. */
  const take = (suggestion: Suggestion) => {
    const text = input.value;
    const before = /^(.*[\s("“（]|)[^\s("“（]*$/s.exec(text)?.[1] ?? "";
    input.value = suggestion.text.includes(before.trim()) && before.trim() ? suggestion.text : before + suggestion.text;
    hide();
    input.focus();
  };
  const mark = () => {
    [...list.children].forEach((el, i) => el.setAttribute("aria-selected", String(i === at)));
    if (at >= 0) input.setAttribute("aria-activedescendant", `suggestion-${at}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const ask = async () => {
    const mine = ++turn;
    const query = input.value;
    if (!query.trim() || !dataset()) return hide();
    const found = await api<Suggestion[]>("POST", "/api/v1/search/suggest", { dataset: dataset(), query, limit: 8 }).catch(() => []);
    if (mine !== turn || document.activeElement !== input) return;
    shown = found;
    at = -1;
    list.replaceChildren(...found.map((s, i) => h("li", { role: "option", id: `suggestion-${i}`, "aria-selected": "false", onmousedown: (e: Event) => { e.preventDefault(); take(s); submit(); } }, h("span", null, s.text), h("small", null, s.count === undefined ? "" : decimal(s.count)))));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
  };

  input.addEventListener("input", (event) => {
    // While an input method composes, its own candidates are on the screen.
    if ((event as InputEvent).isComposing) return;
    clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), PAUSE);
  });
  input.addEventListener("compositionend", () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), PAUSE);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const count = shown.length;
      at = event.key === "ArrowDown" ? (at + 1) % count : (at <= 0 ? count : at) - 1;
      mark();
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      const chosen = shown[at];
      if (chosen) take(chosen);
      submit();
    } else if (event.key === "Escape") {
      event.preventDefault();
      hide();
    }
  });
  input.addEventListener("blur", hide);
  input.form?.addEventListener("submit", () => {
    turn++;
    clearTimeout(timer);
    hide();
  });
}
