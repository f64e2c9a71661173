// The words of the pages in English and Chinese. An element says which words it shows by its
// data-i18n key, so a change of language is one walk over the document.
//
//   data-i18n="key"              the text
//   data-i18n-label="key"        aria-label and title
//   data-i18n-placeholder="key"  the placeholder

import { memory } from "./dom.js";
import en from "./locale_en.js";
import zh from "./locale_zh.js";

const kCatalogs = { en, zh };
const kLangAttribute = { en: "en", zh: "zh-CN" };
const kOwnName = { en: "English", zh: "中文" };

const valuesOf = new WeakMap();
let language = "en";

export function translate(key, values = {}) {
  const template = kCatalogs[language][key] ?? kCatalogs.en[key] ?? key;
  return template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// Shows the words of `key` in the element, now and after every change of language.
export function say(element, key, values = {}) {
  valuesOf.set(element, values);
  element.dataset.i18n = key;
  const text = translate(key, values);
  // Writing the same words again would make screen readers repeat a live region.
  if (element.textContent !== text) element.textContent = text;
}

export function sayNothing(element) {
  delete element.dataset.i18n;
  element.textContent = "";
}

// Terms and what there is to say of each, [[key, text]], as the content of a <dl>.
export function sayFacts(list, facts) {
  list.replaceChildren(...facts.map(([key, text]) => {
    const pair = document.createElement("div");
    const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
    say(term, key);
    detail.textContent = text;
    pair.append(term, detail);
    return pair;
  }));
}

export function label(element, key) {
  element.dataset.i18nLabel = key;
  element.setAttribute("aria-label", translate(key));
  element.title = translate(key);
}

export function currentLanguage() {
  return language;
}

// Chooses the language, translates the document and makes `button` the switch to the other one.
export function startLanguages(button) {
  button.addEventListener("click", () => {
    const other = language === "en" ? "zh" : "en";
    memory.set("language", other);
    setLanguage(other, button);
  });
  setLanguage(preferredLanguage(), button);
}

// Also used for subtrees that were cloned from a <template>.
export function localise(root) {
  for (const element of root.querySelectorAll("[data-i18n]")) {
    say(element, element.dataset.i18n, valuesOf.get(element));
  }
  for (const element of root.querySelectorAll("[data-i18n-label]")) {
    label(element, element.dataset.i18nLabel);
  }
  for (const element of root.querySelectorAll("[data-i18n-placeholder]")) {
    element.placeholder = translate(element.dataset.i18nPlaceholder);
  }
}

function preferredLanguage() {
  const asked = [
    new URLSearchParams(location.search).get("lang"),
    memory.get("language"),
    ...navigator.languages,
  ];
  for (const tag of asked) {
    const known = (tag ?? "").toLowerCase().split("-")[0];
    if (Object.hasOwn(kCatalogs, known)) return known;
  }
  return "en";
}

function setLanguage(next, button) {
  language = next;
  document.documentElement.lang = kLangAttribute[next];
  const other = next === "en" ? "zh" : "en";
  button.textContent = kOwnName[other];
  button.lang = kLangAttribute[other];
  localise(document);
  document.dispatchEvent(new Event("languagechange"));
}
