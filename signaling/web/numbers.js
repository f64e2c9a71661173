// Numbers as people of the chosen language read them.

import { currentLanguage } from "./i18n.js";

const kUnits = ["B", "KB", "MB", "GB"];

export function decimal(value, digits = 0) {
  return new Intl.NumberFormat(currentLanguage(), { maximumFractionDigits: digits }).format(value);
}

export function bitRate(bits) {
  return bits >= 1e6 ? `${decimal(bits / 1e6, 1)} Mbit/s` : `${decimal(bits / 1e3)} kbit/s`;
}

export function percentage(share) {
  return share === null ? "…" : `${decimal(share * 100, 1)} %`;
}

export function byteSize(bytes) {
  let unit = 0;
  let size = bytes;
  while (size >= 1000 && unit < kUnits.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${decimal(size, unit > 0 && size < 100 ? 1 : 0)} ${kUnits[unit]}`;
}
