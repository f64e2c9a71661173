// Small things that every page needs from the DOM. Text goes in through textContent only, so
// nothing that a stranger typed can become markup.

export const byId = (id) => document.getElementById(id);

export function cloneTemplate(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

export function setHidden(element, hidden) {
  if (element.hidden === hidden) return;
  if (hidden) handOnFocus(element);
  element.hidden = hidden;
}

// Before an element goes that holds the focus: whoever works by keyboard goes on at the heir, which
// data-heir names by a selector, on the element or nearest around it; not at the page's beginning.
export function handOnFocus(element) {
  if (!element.contains(document.activeElement)) return;
  const heir = element.closest("[data-heir]")?.dataset.heir;
  if (heir) (element.closest(heir) ?? document.querySelector(heir)).focus();
}

// navigator.clipboard exists only in secure contexts; the old command works everywhere else.
export async function copyText(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Refused, for example because the page lost the focus: try the old way.
    }
  }
  return copyBySelection(text);
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.className = "off-screen";
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus?.();
  return copied;
}

// What stands behind "#k=" in the address: the invitation. Never sent to the server by the browser.
export function invitationInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get("k") ?? "";
}

export function webSocketUrl(path) {
  const url = new URL(path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}

// Storage may be forbidden (private windows, policies): then nothing is remembered.
export const memory = {
  get(key) {
    try {
      return localStorage.getItem(`turnpike.${key}`);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`turnpike.${key}`, value);
    } catch {
      // Not remembered, then.
    }
  },
};
