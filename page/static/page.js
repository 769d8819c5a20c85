// What a page does beyond plain HTML: keys, and news from the server. Without it all works, by reloading.
"use strict";

(() => {
  const rows = document.getElementById("rows");
  const fresh = document.getElementById("new");
  const troubles = document.getElementById("troubles");
  const shown = { newest: Number(document.body.dataset.newest), done: Number(document.body.dataset.done) };
  const PAUSE_MS = Number(rows?.dataset.pause ?? 1000);
  let beat = null;
  let asking = false;
  let askedAt = 0;
  let later = 0;

  // What somebody works with stays as it is: then a button says what is new.
  const inUse = () => rows.contains(document.activeElement) || rows.querySelector("input:checked") !== null;
  const changed = () => beat !== null && (beat.newest !== shown.newest || beat.done !== shown.done);

  const askRows = async () => {
    if (rows === null || asking || document.hidden) return;
    asking = true;
    askedAt = Date.now();
    const asked = beat;
    try {
      const answer = await fetch(rows.dataset.rows, { headers: { accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        rows.innerHTML = await answer.text();
        document.getElementById("counts").textContent = rows.querySelector(".sum").dataset.words;
        countTicked();
        if (asked !== null) Object.assign(shown, { newest: asked.newest, done: asked.done });
        fresh.hidden = true;
        askAgain();
      }
    } catch {
      // The server is unavailable; the stream says when it is back.
    } finally {
      asking = false;
      show();
    }
  };

  // What is still being asked is shown when it is there.
  const askAgain = () => {
    if (rows?.querySelector("[data-again]")) window.setTimeout(askRows, 1000);
  };

  const show = () => {
    if (rows === null || !changed()) return;
    if (inUse()) {
      const more = beat.newest - shown.newest;
      fresh.textContent = more > 0 ? `${more.toLocaleString("en")} new: show` : "Changed: show";
      fresh.hidden = false;
      return;
    }
    window.clearTimeout(later);
    later = window.setTimeout(askRows, Math.max(0, askedAt + PAUSE_MS - Date.now()));
  };

  const ticked = document.getElementById("ticked");
  const ticks = () => [...document.querySelectorAll('input[form="bulk"][type="checkbox"]')];
  const countTicked = () => {
    if (ticked === null) return;
    const count = ticks().filter((tick) => tick.checked).length;
    ticked.textContent = count > 0 ? `${count} ticked:` : "Tick rows to decide about them together:";
  };
  document.addEventListener("change", (event) => {
    if ("all" in event.target.dataset) ticks().forEach((tick) => (tick.checked = event.target.checked));
    countTicked();
  });

  const warn = (sentences) => {
    troubles.textContent = sentences.join(" ");
    troubles.hidden = sentences.length === 0;
  };

  const listen = () => {
    const stream = new EventSource("/events");
    stream.onmessage = (event) => {
      beat = JSON.parse(event.data);
      const sentences = beat.troubles.map((trouble) => `${trouble}.`);
      if (beat.unsent > 0) sentences.push(`${beat.unsent} verdicts are kept and not sent yet.`);
      warn(sentences);
      show();
    };
    stream.addEventListener("ended", () => {
      stream.close();
      window.location.reload(); // to the form to sign in
    });
    stream.onerror = () => {
      warn(["The page's server does not answer: what is shown may be old."]);
      if (stream.readyState === EventSource.CLOSED) window.setTimeout(listen, 3000);
    };
    window.addEventListener("pagehide", () => stream.close(), { once: true });
  };

  const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
    const button = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (button === null || button.disabled) return;
    event.preventDefault();
    button.click();
  });

  // A form is sent once, however often somebody presses.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent === "yes") event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", (event) => {
    document.querySelectorAll("form").forEach((form) => delete form.dataset.sent);
    if (event.persisted) window.location.reload(); // out of the browser's memory, and old
  });

  document.addEventListener("visibilitychange", () => show());
  fresh?.addEventListener("click", () => {
    document.activeElement?.blur();
    askRows();
  });
  listen();
  askAgain();
})();
