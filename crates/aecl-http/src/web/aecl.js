// Keeps a page as it is now: what the server says has changed is fetched and put in place of what stands there, and
// what somebody has typed stays. Without this the page works as well; it is then as old as it is.
"use strict";
(() => {
  const policy = { createHTML: (html) => html };
  const trusted = window.trustedTypes ? window.trustedTypes.createPolicy("aecl", policy) : policy;
  const body = document.body;
  const topics = body.dataset.topics;
  const field = (form, name) => form?.elements.namedItem(name);

  function span(seconds) {
    const [size, unit] =
      seconds < 120 ? [1, "second"] : seconds < 7200 ? [60, "minute"] : seconds < 172800 ? [3600, "hour"] : [86400, "day"];
    const n = Math.floor(seconds / size);
    return `${n} ${unit}${n === 1 ? "" : "s"} left`;
  }

  // How long each request lasts, by the server's clock: what it said when the page was made, less what has gone by.
  let read = performance.now();
  function tick() {
    for (const time of document.querySelectorAll("time[data-left]")) {
      const left = Math.max(0, Number(time.dataset.left) - Math.floor((performance.now() - read) / 1000));
      const text = left ? span(left) : "over";
      if (time.textContent !== text) time.textContent = text;
      time.classList.toggle("soon", left < 600);
    }
  }

  function show(fresh) {
    const [main, now] = [document.querySelector("main"), fresh.querySelector("main")];
    if (!main || !now) return;
    const [bar, next] = [document.getElementById("answer"), fresh.getElementById("answer")];
    const kept = Boolean(bar && next && field(bar, "view")?.value === field(next, "view")?.value);
    const open = new Set([...main.querySelectorAll("details[open] > summary")].map((line) => line.textContent));
    const name = (box) => `${box.name}=${box.value}`;
    const ticked = new Set([...main.querySelectorAll("input:checked")].map(name));
    const where = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const [top, heading] = [main.scrollTop, main.querySelector("h1")?.textContent];
    main.replaceChildren(...now.childNodes);
    if (!kept) {
      const [typed, reason] = [field(bar, "reason")?.value, field(next, "reason")];
      bar?.remove();
      if (next) body.append(next);
      if (typed && reason) {
        reason.value = typed;
        reason.closest("details").open = true;
      }
      body.className = fresh.body.className;
    }
    for (const line of main.querySelectorAll("details > summary")) line.parentElement.open ||= open.has(line.textContent);
    // What a yes vouches for is ticked for what stood there; a row is ticked for its own view.
    for (const box of main.querySelectorAll("input[type=checkbox]"))
      box.checked ||= ticked.has(name(box)) && (kept || box.name !== "endorse");
    main.scrollTop = top;
    [...main.querySelectorAll("a")].find((link) => where && link.getAttribute("href") === where)?.focus();
    body.dataset.at = fresh.body.dataset.at;
    document.title = fresh.title;
    read = performance.now();
    tick();
    const told = document.getElementById("told");
    const outcome = !next && bar ? main.querySelector("[role=status]") : null;
    if (outcome) told.textContent = outcome.textContent;
    else if (main.querySelector("h1")?.textContent !== heading) told.textContent = main.querySelector("h1").textContent;
  }

  let looking = false;
  let again = false;
  async function look() {
    again = true;
    if (looking) return;
    looking = true;
    try {
      while (again) {
        again = false;
        const began = performance.now();
        const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
        // Nobody is logged in any more.
        if (answer.redirected) return location.reload();
        if (answer.status >= 500 || answer.status === 429) throw new Error(String(answer.status));
        show(new DOMParser().parseFromString(trusted.createHTML(await answer.text()), "text/html"));
        // Many changes at once are one look, and a server that is busy is asked less often.
        const took = performance.now() - began;
        await new Promise((done) => setTimeout(done, 200 + 4 * took));
      }
    } catch {
      lost();
    } finally {
      looking = false;
    }
  }

  const sign = document.getElementById("live");
  let since = null;
  function lost() {
    since ??= new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    sign.textContent = `Not live since ${since}`;
    sign.className = "live lost";
  }

  let stream = null;
  function connect() {
    stream?.close();
    stream = new EventSource(`/events?topics=${encodeURIComponent(topics)}&since=${body.dataset.at}`);
    stream.onopen = () => {
      if (since) look();
      since = null;
      sign.textContent = "Live";
      sign.className = "live";
    };
    stream.onerror = () => {
      lost();
      if (stream.readyState !== EventSource.CLOSED) return;
      // It will not come back by itself: the server is gone, or nobody is logged in any more.
      setTimeout(() => look().then(connect), 2000);
    };
    for (const name of ["inbox", "approval"]) stream.addEventListener(name, look);
  }

  tick();
  setInterval(tick, 1000);
  document.querySelector("[role=alert]")?.focus();
  if (!topics) return;
  sign.hidden = false;
  // A browser has few connections for one host, so only a page that is looked at keeps one.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return stream?.close();
    look();
    connect();
  });
  if (!document.hidden) connect();
})();
