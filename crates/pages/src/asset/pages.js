// What makes pages live and nicer. Every page works without it: nothing here does what a link or a form does not.
"use strict";
(() => {
  // Moments in the reader's own words; the exact one stays where a mouse or a screen reader finds it.
  const formatter = typeof Intl === "object" && Intl.RelativeTimeFormat ? new Intl.RelativeTimeFormat("en", { numeric: "auto" }) : null;
  const steps = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];
  const tellTimes = (root) => {
    if (!formatter) return;
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      let left = (at - Date.now()) / 1000;
      for (const [unit, next] of steps) {
        if (Math.abs(left) < next) {
          time.textContent = Math.abs(left) < 5 && unit === "second" ? "just now" : formatter.format(Math.round(left), unit);
          break;
        }
        left /= next;
      }
      time.title = new Date(at).toLocaleString() + " (" + time.dateTime + ")";
    }
  };

  // Regions that changed are taken over from a fresh copy of the page; what somebody is typing in stays.
  const isInUse = (region) => {
    const active = document.activeElement;
    if (active && region.contains(active) && active.matches("input, select, textarea")) return true;
    return [...region.querySelectorAll("input, textarea, select")].some((field) =>
      field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
        : field.tagName === "SELECT" ? [...field.options].some((option) => option.selected !== option.defaultSelected) && field.value !== field.options[0]?.value
        : field.type !== "hidden" && field.value !== field.defaultValue);
  };
  const openedIn = (region) => [...region.querySelectorAll("details")].map((details) => details.open);
  let isTaking = false, isWanted = false;
  const takeOver = async () => {
    if (isTaking) { isWanted = true; return; }
    isTaking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (answer.redirected || !answer.ok) { tell("This page could not be brought up to date. Load it again to see what changed."); return; }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const region of document.querySelectorAll("[data-region]")) {
        const next = fresh.getElementById(region.id);
        if (!next || next.isEqualNode(asServed(region))) continue;
        if (isInUse(region)) { tell("Something here changed. It is shown once you have sent or cleared what you typed."); continue; }
        const focused = region.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
        const opened = openedIn(region);
        served.set(next, next.cloneNode(true));
        region.replaceWith(next);
        tellTimes(next);
        next.querySelectorAll("details").forEach((details, at) => { details.open = opened[at] || details.open; });
        next.classList.add("fresh");
        if (focused) [...next.querySelectorAll("[id], a[href]")].find((e) => e.id === focused || e.getAttribute("href") === focused)?.focus({ preventScroll: true });
      }
    } catch { tell("The connection is lost. What you see may be out of date."); }
    finally { isTaking = false; if (isWanted) { isWanted = false; takeOver(); } }
  };
  const served = new WeakMap();
  const asServed = (region) => served.get(region) || region;

  const line = document.getElementById("line");
  const tell = (text) => { if (line) { line.textContent = text; line.hidden = !text; } };

  for (const region of document.querySelectorAll("[data-region]")) served.set(region, region.cloneNode(true));
  tellTimes(document);
  setInterval(() => tellTimes(document), 60000);

  const live = document.body.dataset.live;
  if (live && typeof EventSource === "function") {
    // Browsers keep few connections to one server, so only the page that is looked at listens.
    let source = null, wasLost = false;
    const listen = () => {
      if (source || document.hidden) return;
      source = new EventSource(live);
      source.addEventListener("open", () => { if (wasLost) { wasLost = false; tell(""); takeOver(); } });
      source.addEventListener("changed", () => takeOver());
      source.addEventListener("end", () => { rest(); tell("You are signed out, or may not see this any more. Load the page again."); });
      source.addEventListener("error", () => {
        wasLost = true;
        tell(source && source.readyState === EventSource.CLOSED
          ? "Live updates have ended. Load the page again to see what changed."
          : "The connection is lost; trying again. What you see may be out of date.");
      });
    };
    const rest = () => { if (source) { source.close(); source = null; } };
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) rest();
      else { takeOver(); listen(); }
    });
    addEventListener("pagehide", rest);
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
    listen();
  }

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const sure = form.dataset.sure;
    if (sure && !confirm(sure)) { event.preventDefault(); return; }
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    form.querySelectorAll("button").forEach((button) => button.setAttribute("aria-busy", "true"));
    setTimeout(() => { delete form.dataset.sent; form.querySelectorAll("button").forEach((button) => button.removeAttribute("aria-busy")); }, 8000);
  });

  // Choices of colours take hold at once, menus close as menus do, and one box may tick many.
  document.addEventListener("change", (event) => {
    if (event.target.matches(".theme select")) event.target.form.requestSubmit();
    if (event.target.matches("[data-all]")) {
      document.querySelectorAll(event.target.dataset.all).forEach((box) => { box.checked = event.target.checked; });
    }
  });
  // A value that is typed is the answer that is meant.
  document.addEventListener("input", (event) => {
    const chosen = event.target.dataset.chooses;
    const radio = chosen && event.target.form.querySelector('input[type=radio][value="value"][name="' + chosen + '"]');
    if (radio) radio.checked = true;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details.menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => {
    const menu = document.querySelector("details.menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
    const copy = event.target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      const from = document.querySelector(copy.dataset.copy);
      navigator.clipboard.writeText(from.value || from.textContent).then(() => { copy.textContent = "Copied"; });
    }
  });
})();
