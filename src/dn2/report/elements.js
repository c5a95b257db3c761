"use strict";
// What the pages' scripts make their elements with.  Texts come to the page as text, never as HTML.

const at = (id) => document.getElementById(id);

function number(value, digits = 3) {
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
}

// For a place with little room: 10M for ten million.
function short(value) {
  return value < 1e5 ? number(value) : value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
}

function whole(value) {
  return value.toLocaleString("en");
}

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function draw(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function percent(share) {
  return share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

// The least and the largest of any number of values.
function range(values) {
  return values.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
}

function tableOf(label, head, rows) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    make("table", {}, make("thead", {}, ...head), make("tbody", {}, ...rows)));
}

function axis(low, high) {
  if (low > 0 && high > 30 * low) {
    const first = Math.log10(low), span = Math.log10(high) - first;
    const ticks = [];
    for (let power = Math.ceil(first); power <= Math.log10(high); power++) ticks.push(10 ** power);
    return { to: (value) => (Math.log10(Math.max(value, low)) - first) / span, ticks };
  }
  const span = high - low || 1, rough = span / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough);
  const ticks = [];
  for (let value = Math.ceil(low / step); value * step <= high; value++) ticks.push(value * step);
  return { to: (value) => (value - low) / span, ticks };
}

function histogram(scores, scale, bins) {
  const counts = new Array(bins).fill(0);
  for (const score of scores) counts[Math.max(0, Math.min(bins - 1, Math.floor(bins * scale.to(score))))]++;
  return counts.map((count) => count / Math.max(1, scores.length));
}
