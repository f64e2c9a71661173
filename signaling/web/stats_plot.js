// A plot of one or two lines over time, as SVG, with a table that says the same. No data of its own.

const kHeight = 170;
const kLeft = 80;
const kRight = 12;
const kTop = 10;
const kBottom = 24;
const kNamespace = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const element = document.createElementNS(kNamespace, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// 1, 2 or 5 times a power of ten, at or above `value`.
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value * 0.999);
}

// A piece of the path for each run of points without a gap; `gap`: of time.
export function pathOf(points, gap, x, y) {
  let path = "";
  let last = -Infinity;
  for (const [time, value] of points) {
    path += `${time - last > gap ? "M" : "L"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    last = time;
  }
  return path;
}

// What a plot shows: {from, to, gap, least, lines: [[time, value], ...][], format, clock, nothing}
// `least`: no axis ends below it. Answers how to place a cursor at a time.
export function draw(svg, { from, to, gap, least, lines, format, clock, nothing }) {
  const width = Math.max(240, svg.clientWidth || 600);
  svg.setAttribute("viewBox", `0 0 ${width} ${kHeight}`);
  const top = niceTop(Math.max(least, ...lines.flat().map(([, value]) => value)));
  const x = (time) => kLeft + ((time - from) / (to - from)) * (width - kLeft - kRight);
  const y = (value) => kTop + (1 - value / top) * (kHeight - kTop - kBottom);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const level = y(top * share);
    parts.push(shape("line", { class: "grid", x1: kLeft, x2: width - kRight, y1: level, y2: level }),
      shape("text", { x: kLeft - 8, y: level + 4, "text-anchor": "end" }, format(top * share)));
  }
  const anchors = { 0: "start", 0.5: "middle", 1: "end" };
  for (const share of [0, 0.5, 1]) {
    const at = from + (to - from) * share;
    parts.push(shape("text", { x: x(at), y: kHeight - 6, "text-anchor": anchors[share] }, clock(at)));
  }
  lines.forEach((points, index) => {
    parts.push(shape("path", { class: `line series-${index + 1}`, d: pathOf(points, gap, x, y) }));
  });
  if (nothing) {
    parts.push(shape("text", { class: "nothing", x: (kLeft + width - kRight) / 2, y: kHeight / 2 - 14,
      "text-anchor": "middle" }, nothing));
  }
  const cursor = shape("line", { class: "cursor", y1: kTop, y2: kHeight - kBottom, visibility: "hidden" });
  svg.replaceChildren(...parts, cursor);
  return {
    timeAt: (pixel) => from + ((pixel - kLeft) / (width - kLeft - kRight)) * (to - from),
    place: (time) => {
      cursor.setAttribute("visibility", time === null ? "hidden" : "visible");
      if (time === null) return;
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(time));
    },
  };
}

// A sample of the line for the legend: colour and dashes.
export function swatch(index) {
  const svg = shape("svg", { viewBox: "0 0 26 4", "aria-hidden": "true" });
  svg.append(shape("line", { class: `line series-${index + 1}`, x1: 0, x2: 26, y1: 2, y2: 2 }));
  return svg;
}

// Means of equal spans, the newest first: [{time, values}], where there are any.
export function spans(lines, from, to, count) {
  const width = (to - from) / count;
  const rows = [];
  for (let span = count - 1; span >= 0; span -= 1) {
    const [begin, end] = [from + span * width, from + (span + 1) * width];
    const values = lines.map((points) => {
      const inside = points.filter(([time]) => time > begin && time <= end);
      return inside.length ? inside.reduce((sum, [, value]) => sum + value, 0) / inside.length : null;
    });
    if (values.some((value) => value !== null)) rows.push({ time: end, values });
  }
  return rows;
}

export function fillTable(table, headings, rows) {
  const line = (cells, name) => {
    const row = document.createElement("tr");
    row.append(...cells.map((text, index) => {
      const cell = document.createElement(index === 0 || name === "th" ? "th" : "td");
      if (name === "th") cell.scope = "col";
      else if (index === 0) cell.scope = "row";
      cell.textContent = text;
      return cell;
    }));
    return row;
  };
  table.tHead.replaceChildren(line(headings, "th"));
  table.tBodies[0].replaceChildren(...rows.map((row) => line(row, "td")));
}
