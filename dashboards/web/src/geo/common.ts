// What the panels of the page on places share.

import type { CityMap } from "../lib/citymap";
import { h, t } from "../lib/dom";

export interface System { id: string; name_zh: string; status: string; accuracy_m: number | null; unit: string }
export interface TransformInfo { version: string; status: string; accuracy_m: number | null }
export interface Found { address: string; lon: number; lat: number; level_zh: string; confidence: number; explanation: string }
export interface Context {
  root: HTMLElement;
  map: CityMap;
  may: { fit: boolean; sign: boolean; import: boolean; review: boolean; area: boolean };
  user: string;
  systems: System[];
}

export const option = (value: string, label: string, chosen: string): HTMLOptionElement => h("option", { value, selected: value === chosen }, label);
export const field = (label: string, control: HTMLElement): HTMLElement => h("label", null, label, control);
export const note = (text: string, kind: string): HTMLElement => h("p", { class: kind }, text);

/** What a conversion is worth, in a line. */
export function infoLine(info: TransformInfo): HTMLElement {
  const good = info.status === "verified";
  return h("p", { class: "hint" }, h("span", { class: good ? "state good" : "state bad" }, good ? t("已确认", "verified") : info.status), ` ${info.accuracy_m === null ? "" : `${t("精度约", "accuracy about")} ${info.accuracy_m} m · `}${info.version}`);
}
