// Numbers and times as the server writes them.

import { english, t } from "./dom";

const MINUS = "\u2212";

/** Thousands separators, a true minus sign, `digits` decimals. */
export function decimal(x: number | null | undefined, digits = 0): string {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  const text = Math.abs(x).toFixed(digits);
  const [whole, part] = text.split(".");
  const sign = x < 0 && /[1-9]/.test(text) ? MINUS : "";
  return sign + (whole ?? "").replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part}` : "");
}

/** An axis label: 万 and 亿 from ten thousand on, without needless zeros. */
export function amount(x: number): string {
  const short = (value: number, unit: string) => trim(value.toFixed(1)) + unit;
  const size = Math.abs(x);
  if (!english && size >= 1e8) return short(x / 1e8, "亿");
  if (!english && size >= 1e4) return short(x / 1e4, "万");
  if (english && size >= 1e6) return short(x / 1e6, "M");
  return trim(decimal(x, size > 0 && size < 10 ? 1 : 0));
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

const two = (n: number): string => String(n).padStart(2, "0");

export function clockTime(d: Date): string {
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

const WEEKDAYS = ["日", "一", "二", "三", "四", "五", "六"];

export function clockDate(d: Date): string {
  if (english) return d.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric" });
  return `${d.getFullYear()}年${d.getMonth() + 1}月${d.getDate()}日 星期${WEEKDAYS[d.getDay()] ?? ""}`;
}

/** `2026-03-15T07:30:00+08:00` as `2026-03-15 07:30`: the server's times carry the zone of the city. */
export function minute(text: string | null | undefined): string {
  return text ? text.slice(0, 16).replace("T", " ") : "";
}

export function period(option: string): string {
  const match = /^(\d+)([dwmy])$/.exec(option);
  if (!match) return option;
  const unit = { d: t("天", " days"), w: t("周", " weeks"), m: t("个月", " months"), y: t("年", " years") }[match[2] as "d" | "w" | "m" | "y"];
  return t("近", "last ") + match[1] + unit;
}
