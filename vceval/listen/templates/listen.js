"use strict";
(() => {
  const plan = JSON.parse(document.getElementById("plan").textContent);
  const key = `vceval-listening-${plan.id}`;
  const main = document.getElementById("main");
  const where = document.getElementById("where");
  const bar = document.getElementById("progress");
  const status = document.getElementById("status");
  const given = new URLSearchParams(`${location.search.slice(1)}&${location.hash.slice(1)}`);
  let state = restore();
  let server = false;      // whether a server takes the answers
  let onKey = null;        // what a key does on the screen that is shown
  let onSent = null;       // what the screen that is shown does when answers were sent, or were to be
  let players = [];

  // What is kept

  function restore() {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      if (kept && kept.session && Array.isArray(kept.answers)) return kept;
    } catch { /* nothing kept, or nothing may be kept */ }
    return null;
  }
  function keep() {
    try { localStorage.setItem(key, JSON.stringify(state)); } catch { /* private windows of some browsers */ }
  }
  function forget() {
    try { localStorage.removeItem(key); } catch { /* as above */ }
    state = null;
  }
  function token() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // The server, where there is one

  async function post(path, body) {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
      cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(15000),
    });
    if (!answer.ok) throw Object.assign(new Error(`status ${answer.status}`), { status: answer.status });
    return answer.json();
  }
  const passing = (code) => code >= 500 || code === 408 || code === 429;
  async function found() {
    // Only an answer says that no server takes answers here; one that does not come is waited for
    if (!location.protocol.startsWith("http")) return false;
    for (let wait = 500; ; wait = Math.min(2 * wait, 10000)) {
      try {
        const answer = await fetch("api/test", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(15000) });
        if (answer.ok) return (await answer.json()).plan === plan.id;
        if (!passing(answer.status)) return false;
      } catch (error) {
        if (error instanceof SyntaxError) return false;
      }
      status.textContent = "The server does not answer yet. Please wait: this page tries again by itself.";
      await new Promise((later) => setTimeout(later, wait));
    }
  }
  let sending = null;
  function send() {
    // One request at a time, and each sends all that has not been confirmed yet
    if (server && state) sending = (sending || Promise.resolve()).then(sendNow);
    return sending || Promise.resolve();
  }
  async function sendNow() {
    const mine = state;
    if (!waiting()) return;
    const rest = mine.answers.slice(mine.sent);
    try {
      const body = { session: mine.session, about: mine.about, answers: rest };
      if (mine.finished) body.finished = { comment: mine.comment || "" };
      await post("api/answers", body);
      mine.sent += rest.length;
      mine.told = Boolean(body.finished);
      status.textContent = "";
      if (state === mine) keep();
    } catch (error) {
      status.textContent = error.status && !passing(error.status)
        ? "The server refused an answer. Please tell the person who invited you."
        : "Not saved on the server yet. Your answers are kept in this browser and sent as soon as it answers again.";
    }
    if (state === mine && onSent) onSent();
  }
  const waiting = () => state && (state.answers.length > state.sent || (state.finished && !state.told));
  setInterval(() => { if (waiting()) send(); }, 5000);
  window.addEventListener("online", () => send());

  // Building blocks

  function make(tag, values = {}, ...children) {
    const one = document.createElement(tag);
    for (const [name, value] of Object.entries(values)) {
      if (name === "class") one.className = value;
      else if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
      else if (typeof value === "boolean") one[name] = value;
      else one.setAttribute(name, value);
    }
    one.append(...children.filter((child) => child !== null));
    return one;
  }
  function show(title, ...children) {
    for (const player of players) player.stop();
    players = [];
    onKey = onSent = null;
    const heading = make("h1", { tabindex: "-1" }, title);
    main.replaceChildren(heading, ...children.filter((child) => child !== null));
    window.scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
  function said(left, right, share) {
    where.replaceChildren(make("span", {}, left), make("span", {}, right));
    bar.hidden = share === null;
    bar.value = share === null ? 0 : share;
  }
  function choices(name, options, keys, onchange) {
    return make("div", { class: keys ? "options" : "options short" }, ...options.map((option) => {
      const input = make("input", { type: "radio", name, value: option.value, onchange: () => onchange(option.value) });
      const text = make("span", {}, make("b", {}, option.label), option.hint ? make("span", { class: "hint" }, option.hint) : null);
      return make("label", { class: keys ? "option" : "option plain" }, input, keys ? make("kbd", {}, option.key) : null, text);
    }));
  }
  const PLAY = "M4 2v16l14-8z", STOP = "M3 3h14v14H3z";
  function icon(path) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS(space, "path");
    shape.setAttribute("d", path);
    svg.append(shape);
    return svg;
  }
  function player(label, file, onheard) {
    const audio = new Audio(`audio/${file}`);
    audio.preload = "auto";
    const self = { heard: false, plays: 0, audio, label };
    const note = make("span", { class: "state" }, "not heard yet");
    const line = make("progress", { max: "1", value: "0", "aria-hidden": "true" });
    const button = make("button", { type: "button", "aria-label": `Play ${label}`, onclick: () => self.toggle() }, icon(PLAY));
    self.element = make("div", { class: "player", "data-file": file }, button, make("div", {}, make("div", { class: "label" }, make("span", {}, label), note), line));
    let frame = 0;
    function draw() {
      line.value = audio.duration ? audio.currentTime / audio.duration : 0;
      frame = requestAnimationFrame(draw);
    }
    function playing(is) {
      cancelAnimationFrame(frame);
      button.replaceChildren(icon(is ? STOP : PLAY));
      button.setAttribute("aria-label", `${is ? "Stop" : "Play"} ${label}`);
      note.textContent = is ? "playing" : self.heard ? "heard" : "not heard to its end yet";
      if (is) draw();
    }
    self.stop = () => {
      if (audio.paused) return;
      audio.pause();
      audio.currentTime = 0;
      line.value = 0;
      playing(false);
    };
    self.toggle = () => {
      if (!audio.paused) return self.stop();
      for (const other of players) if (other !== self) other.stop();
      audio.currentTime = 0;
      self.plays += 1;
      audio.play().then(() => playing(true)).catch(failed);
      return undefined;
    };
    function failed(error) {
      if (error && error.name === "AbortError") return;
      note.textContent = "can't be played";
      status.textContent = "A recording can't be played. Check your connection and press play again; if that does not help, tell the person who invited you.";
    }
    audio.addEventListener("ended", () => {
      self.heard = true;
      self.element.classList.add("heard");
      playing(false);
      line.value = 1;
      status.textContent = "";
      onheard();
    });
    return self;
  }
  function playNext() {
    const current = players.find((one) => !one.audio.paused);
    if (current) return current.stop();
    const next = players.find((one) => !one.heard) || players[players.length - 1];
    return next && next.toggle();
  }
  document.addEventListener("keydown", (event) => {
    if (!onKey || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    const target = event.target;
    if (target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type === "text")) return;
    // A focused button does what it is for; a focused answer is chosen by the space bar already
    if ((event.key === " " || event.key === "Enter") && target instanceof HTMLButtonElement) return;
    if (event.key === " " && target instanceof HTMLInputElement && !target.checked) return;
    if (onKey(event.key)) event.preventDefault();
  });

  // The way through the test

  function steps() {
    const found = [];
    const parts = plan.forms[state.form - 1];
    parts.forEach((part, at) => {
      const of = { part: at + 1, parts: parts.length, test: part.test };
      found.push({ kind: "instructions", ...of });
      part.training.forEach((id, index) => found.push({ kind: "training", id, index: index + 1, count: part.training.length, ...of }));
      found.push({ kind: "begin", count: part.trials.length, ...of });
      part.trials.forEach((id, index) => found.push({ kind: "trial", id, index: index + 1, count: part.trials.length, ...of }));
    });
    return found;
  }
  function go() {
    const all = steps();
    if (state.finished) return thanks();
    if (!state.ready) return setup();
    if (state.position >= all.length) return comment();
    const step = all[state.position];
    const part = step.parts > 1 ? `Part ${step.part} of ${step.parts}: ` : "";
    const place = step.index ? `${step.kind === "training" ? "Practice " : ""}${step.index} of ${step.count}` : "";
    said(part + plan.tests[step.test].title, place, state.position / all.length);
    // What comes next is loaded while this is heard
    for (const later of all.slice(state.position + 1, state.position + 3)) {
      if (later.id) for (const file of plan.trials[later.id].files) new Audio(`audio/${file}`).preload = "auto";
    }
    if (step.kind === "instructions") return instructions(step);
    if (step.kind === "begin") return begin(step);
    return trial(step);
  }
  function forward() {
    state.position += 1;
    keep();
    go();
  }
  function next(label, action, enabled = true) {
    return make("button", { type: "button", id: "next", disabled: !enabled, onclick: action }, label);
  }

  function welcome() {
    said("", "", null);
    const rater = make("input", { type: "text", id: "rater", maxlength: "64", autocomplete: "off", value: (given.get("rater") || "").slice(0, 64) });
    const number = make("input", { type: "text", id: "number", inputmode: "numeric", maxlength: "5", autocomplete: "off", value: (given.get("form") || "").slice(0, 5) });
    const names = [...new Set(plan.forms[0].map((part) => part.test))].map((test) => plan.tests[test].title.toLowerCase());
    const problem = make("p", { class: "warn", role: "alert" });
    async function start() {
      const wanted = number.value.trim();
      if (!server && wanted && !(/^\d+$/.test(wanted) && Number(wanted) >= 1 && Number(wanted) <= plan.forms.length)) {
        problem.textContent = `The number must lie between 1 and ${plan.forms.length}.`;
        return;
      }
      let begun = { session: token(), form: Number(wanted) || 1 + Math.floor(Math.random() * plan.forms.length) };
      if (server) {
        try {
          begun = await post("api/start", { plan: plan.id, rater: rater.value.trim() });
        } catch {
          problem.textContent = "The server does not answer. Please try again in a moment.";
          return;
        }
      }
      state = { session: begun.session, form: begun.form, rater: rater.value.trim(), started: new Date().toISOString(),
        about: {}, position: 0, answers: [], sent: 0, served: server, ready: false, finished: "" };
      keep();
      go();
    }
    show(plan.title,
      plan.intro ? make("p", { class: "intro" }, plan.intro) : null,
      make("p", {}, `You will hear recordings of speech and answer one question about each. It takes about ${plan.minutes} minutes.`),
      make("ul", {},
        make("li", {}, "Please sit somewhere quiet and use headphones or earphones."),
        make("li", {}, plan.forms[0].length > 1 ? `There are ${plan.forms[0].length} parts (${names.join(", ")}); between them you can rest.` : `All questions are about one thing: ${names[0]}.`),
        make("li", {}, "There are no right and wrong answers: what counts is what you hear."),
        make("li", {}, "If you close the page, you can go on later with the same browser on the same device.")),
      make("p", { class: "soft" }, "Stored are your answers, how long they took, what you say about your headphones, hearing and language, and a participant code if you enter one. Nothing else."),
      make("label", { class: "field", for: "rater" }, "Participant code, if you were given one"), rater,
      server ? null : make("label", { class: "field", for: "number" }, `Number of your test, if you were given one (1 to ${plan.forms.length})`),
      server ? null : number,
      problem,
      make("div", { class: "actions" }, next("Start", start)));
  }

  function setup() {
    said("Before you begin", "", null);
    let beeps = "";
    const questions = plan.questions.map((question) => make("fieldset", {}, make("legend", {}, question.text),
      choices(question.name, question.options, false, (value) => { state.about[question.name] = value; keep(); check(); })));
    const button = next("Go on", done, false);
    const problem = make("p", { class: "warn", role: "alert" });
    const volume = player("Test recording", plan.volume.file, () => { heard.disabled = false; check(); });
    const heard = make("fieldset", { disabled: true }, make("legend", {}, "How many beeps follow the speech?"),
      choices("beeps", ["1", "2", "3", "4"].map((value) => ({ value, label: value })), false, (value) => { beeps = value; problem.textContent = ""; check(); }));
    function check() {
      button.disabled = !(beeps && plan.questions.every((question) => state.about[question.name]));
    }
    function done() {
      if (beeps !== String(plan.volume.beeps)) {
        problem.textContent = "That is not the number of beeps. Please check your headphones and the volume, and listen again.";
        return;
      }
      state.ready = true;
      keep();
      go();
    }
    show("Headphones and volume", ...questions,
      make("h2", {}, "Set the volume"),
      make("p", {}, "Put your headphones on, play the recording and set the volume of your computer so that the speech is comfortably loud. Then leave it as it is: all recordings are equally loud."),
      make("div", { class: "players" }, volume.element), heard, problem,
      make("div", { class: "actions" }, button));
    players = [volume];
    for (const question of plan.questions) {
      const chosen = state.about[question.name];
      for (const input of main.querySelectorAll(`input[name="${question.name}"]`)) input.checked = input.value === chosen;
    }
  }

  function instructions(step) {
    const test = plan.tests[step.test];
    show(`${step.parts > 1 ? `Part ${step.part}: ` : ""}${test.title}`,
      ...test.instructions.map((text) => make("p", {}, text)),
      make("ul", {},
        make("li", {}, "Listen to the end before you answer. You may listen again as often as you like."),
        test.scale ? make("li", {}, "Use all of the scale where it fits what you hear.") : null,
        make("li", {}, "You can't go back to an earlier question.")),
      make("div", { class: "note" }, make("p", {}, "Now and then speech breaks off and you hear beeps. Then count them and choose the answer with that number: two beeps, answer 2. This shows that somebody is listening.")),
      make("p", { class: "soft keys" }, "Keys: ", make("kbd", {}, "space"), " plays, the numbers answer, ", make("kbd", {}, "Enter"), " goes on."),
      make("div", { class: "actions" }, next("Start the practice", forward)));
    onKey = (name) => name === "Enter" && (forward(), true);
  }

  function begin(step) {
    show("That was the practice",
      make("p", {}, `From now on your answers count. This part has ${step.count} questions. Rest whenever you like.`),
      make("div", { class: "actions" }, next("Begin", forward)));
    onKey = (name) => name === "Enter" && (forward(), true);
  }

  function trial(step) {
    const about = plan.trials[step.id], test = plan.tests[step.test];
    const since = performance.now();
    let chosen = "", ready = false, left = false;
    const button = next("Next", done, false);
    const hint = make("p", { class: "soft", id: "hint", role: "status" }, test.recordings.length > 1 ? "You can answer when you have heard all recordings to their ends." : "You can answer when you have heard the recording to its end.");
    const problem = make("p", { class: "warn", role: "alert" });
    const kept = test.recordings.map((label, at) => player(label, about.files[at], unlock));
    const answers = make("fieldset", { disabled: true, "aria-describedby": "hint" }, make("legend", {}, "Your answer"),
      choices("answer", test.options, true, (value) => { chosen = value; problem.textContent = ""; button.disabled = false; }));
    function unlock() {
      ready = kept.every((one) => one.heard);
      answers.disabled = !ready;
      if (ready) hint.textContent = "You can answer now.";
    }
    function done() {
      if (!chosen || left) return;
      if (about.expect && chosen !== about.expect) {
        const right = test.options.find((option) => option.value === about.expect);
        problem.textContent = `There were ${right.key} beeps: please choose answer ${right.key}, ${right.label}.`;
        return;
      }
      left = true;
      if (step.kind === "trial") {
        state.answers.push({ trial: step.id, answer: chosen, seconds: Math.round(performance.now() - since) / 1000,
          plays: kept.reduce((sum, one) => sum + one.plays, 0) });
        keep();
        send();
      }
      forward();
    }
    show(test.question, make("div", { class: "players" }, ...kept.map((one) => one.element)), answers, hint, problem,
      make("div", { class: "actions" }, button));
    players = kept;
    onKey = (name) => {
      if (name === " ") return playNext(), true;
      const named = kept.find((one) => one.label.length === 1 && one.label.toLowerCase() === name.toLowerCase());
      if (named) return named.toggle(), true;
      if (name === "Enter") return done(), true;
      const at = ready ? test.options.findIndex((option) => option.key === name) : -1;
      if (at < 0) return false;
      const input = answers.querySelectorAll("input")[at];
      input.checked = true;
      input.dispatchEvent(new Event("change"));
      return true;
    };
  }

  function comment() {
    said("Done", "", 1);
    const text = make("textarea", { id: "comment", maxlength: "2000" });
    function done() {
      state.comment = text.value.trim();
      state.finished = new Date().toISOString();
      keep();
      thanks();
    }
    show("That was the last question", make("label", { class: "field", for: "comment" }, "Was anything unclear, or did anything not work? (optional)"), text,
      make("div", { class: "actions" }, next("Finish", done)));
  }

  function thanks() {
    said("Done", "", 1);
    const again = make("p", { class: "soft" }, make("button", { class: "second", type: "button", id: "again", onclick: over }, "Next listener on this computer"));
    async function over() {
      if (server && waiting() && !confirm("Some answers have not reached the server yet. Drop them?")) return;
      if (!server && !confirm("Has the file with the answers been saved? They are deleted from this browser now.")) return;
      forget();
      welcome();
    }
    if (server) {
      const saved = make("p", { id: "saved", role: "status" }, "Your answers are being saved …");
      const file = make("div");
      show("Thank you!", saved, file, again);
      onSent = () => {
        saved.textContent = state.told ? "Your answers have been saved. You can close this page."
          : "The server does not answer. This page tries again while it is open. If you can't wait, save this file and send it to the person who invited you:";
        file.replaceChildren(...(state.told ? [] : file.childElementCount ? file.children : [downloads()]));
      };
      send();
      return;
    }
    show("Thank you!", make("p", {}, "Please save the file with your answers and send it to the person who invited you."), downloads(), again);
  }

  // Answers as a file

  function downloads() {
    const rest = { plan: plan.id, session: state.session, form: state.form, rater: state.rater, started: state.started, finished: state.finished || "" };
    const json = JSON.stringify({ vceval_listening: 1, ...rest, about: state.about, comment: state.comment || "", answers: state.answers }, null, 1);
    const columns = ["plan", "session", "form", "rater", "started", "finished", ...plan.questions.map((question) => question.name), "comment", "trial", "answer", "seconds", "plays"];
    // An apostrophe keeps spreadsheets from taking a comment for a formula; vceval takes it off again
    const safe = (text) => (/^'*[=+\-@\t\r\n]./s.test(text) ? `'${text}` : text);
    const quoted = (value) => `"${safe(String(value === undefined ? "" : value)).replaceAll('"', '""')}"`;
    const rows = state.answers.map((answer) => columns.map((name) => quoted({ ...rest, ...state.about, comment: state.comment, ...answer }[name])).join(","));
    const csv = [columns.join(","), ...rows, ""].join("\n");
    const name = `answers-${plan.id.slice(0, 6)}-${state.form}-${state.session.slice(0, 6)}`;
    const link = (text, kind, content, label, style) => make("a", { class: style, download: `${name}.${kind}`, href: URL.createObjectURL(new Blob([content], { type: text })), id: `save-${kind}` }, label);
    return make("div", { class: "actions" }, link("application/json", "json", json, "Save my answers", "button"), link("text/csv", "csv", csv, "as CSV", "button second"));
  }

  async function begun() {
    const kept = state && state.form >= 1 && state.form <= plan.forms.length;
    server = kept && "served" in state ? state.served : await found();
    status.textContent = "";
    if (!kept) return welcome();
    send();
    return go();
  }
  begun();
})();
