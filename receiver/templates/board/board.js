// Keeps an open page up to date: when the server says that there is news, the page is fetched anew and
// its content exchanged. Without this script every page says the same, after a reload.
"use strict";

(() => {
  const EDITION = "edition";
  let main = document.getElementById("main");
  const news = document.getElementById("news");
  if (!main || !news || !("EventSource" in window)) return;
  let fetching = false;
  let again = false;

  const isTouched = () =>
    [...main.querySelectorAll("input:not([type=hidden]), select, textarea")].some((field) =>
      field === document.activeElement ||
      (field.type === "checkbox" ? field.checked !== field.defaultChecked :
        field.tagName === "SELECT" ? [...field.options].some((one) => one.selected !== one.defaultSelected) :
          field.value !== field.defaultValue));

  const say = (words) => { if (news.textContent !== words) news.textContent = words; };

  const exchange = (fresh, aloud) => {
    const open = [...main.querySelectorAll("details[open][id]")].map((one) => one.id);
    const focused = document.activeElement;
    const at = main.contains(focused) ? focused.id || focused.getAttribute("href") : null;
    main.replaceWith(fresh);
    main = fresh;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (at) {
      const found = document.getElementById(at) || main.querySelector(`[href="${CSS.escape(at)}"]`);
      if (found) found.focus({ preventScroll: true });
    }
    if (aloud) say(`Changed at ${new Date().toLocaleTimeString()}`);
  };

  const refresh = async (aloud) => {
    if (isTouched()) { say("There is news: it is shown once what you fill in is sent, or the page reloaded."); return; }
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "follow" });
      if (answer.redirected) { location.reload(); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (answer.ok && fresh && !isTouched()) {
        document.title = page.title;
        const here = document.querySelector("header nav");
        const there = page.querySelector("header nav");
        if (here && there && here.innerHTML !== there.innerHTML && !here.contains(document.activeElement)) here.replaceWith(there);
        exchange(document.adoptNode(fresh), aloud);
      }
    } catch {
      say("The board does not answer; trying again.");
    } finally {
      fetching = false;
      if (again) { again = false; refresh(true); }
    }
  };

  const source = new EventSource(main.dataset.live);
  let lost = false;
  source.addEventListener(EDITION, (told) => {
    if (lost) { lost = false; say("The board answers again."); }
    if (told.data !== main.dataset.edition) refresh(true);
  });
  source.addEventListener("error", () => { lost = true; say("The connection to the board is lost; trying again."); });
  addEventListener("pagehide", () => source.close());

  const seconds = Number(main.dataset.every || 0);
  if (seconds) setInterval(() => { if (!document.hidden) refresh(false); }, seconds * 1000);
})();
