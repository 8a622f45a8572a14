"use strict";
(() => {
  const plan = JSON.parse(document.getElementById("plan").textContent);
  const main = document.getElementById("main");
  const where = document.getElementById("where");
  const bar = document.getElementById("progress");
  const status = document.getElementById("status");
  const given = new URLSearchParams(`${location.search.slice(1)}&${location.hash.slice(1)}`);
  const linked = (name) => (given.get(name) || "").trim().slice(0, 64);
  // Who listens, where the link says so: each has a session of their own, on a shared computer too
  const participant = plan.participant.map(linked).find(Boolean) || "";
  const link = Object.fromEntries(plan.link.map((name) => [name, linked(name)]).filter(([, value]) => value));
  const key = `vceval-listening-${plan.id}${participant && `-${participant}`}`;
  let state = restore();
  let server = false;      // whether a server takes the answers
  let onKey = null;        // what a key does on the screen that is shown
  let onSent = null;       // what the screen that is shown does when answers were sent, or were to be
  let players = [];

  // What is said

  const t = (name, values = {}) => plan.texts[name].replace(/\{(\w+)\}/g, (_, word) => values[word]);
  // The same with elements in the places of words
  const rich = (name, elements) => plan.texts[name].split(/\{(\w+)\}/).map((piece, at) => (at % 2 ? elements[piece] : piece));

  // What is kept

  function restore() {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      if (kept && kept.session && Array.isArray(kept.answers)) return { elsewhere: [], link: {}, ...kept };
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
  window.addEventListener("storage", (event) => {
    // Two tabs would ask the same questions: the one that was opened last goes on
    if (event.key !== key || !state) return;
    state = null;
    if (event.newValue === null) return welcome();
    said("", "", null);
    show(t("back.elsewhere"), make("p", {}, t("back.close")),
      make("div", { class: "actions" }, next(t("back.here"), () => { state = restore(); return state ? takeUp() : welcome(); })));
  });
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
      status.textContent = t("server.waiting");
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
      const taken = await post("api/answers", body);
      mine.code = taken.code || "";
      mine.sent += rest.length;
      mine.told = Boolean(body.finished);
      status.textContent = "";
      if (state === mine) keep();
    } catch (error) {
      status.textContent = error.status && !passing(error.status)
        ? t("server.refused")
        : t("server.unsaved");
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
    const note = make("span", { class: "state" }, t("player.new"));
    const line = make("progress", { max: "1", value: "0", "aria-hidden": "true" });
    const button = make("button", { type: "button", "aria-label": t("player.play", { recording: label }), onclick: () => self.toggle() }, icon(PLAY));
    self.element = make("div", { class: "player", "data-file": file }, button, make("div", {}, make("div", { class: "label" }, make("span", {}, label), note), line));
    let frame = 0;
    function draw() {
      line.value = audio.duration ? audio.currentTime / audio.duration : 0;
      frame = requestAnimationFrame(draw);
    }
    function playing(is) {
      cancelAnimationFrame(frame);
      button.replaceChildren(icon(is ? STOP : PLAY));
      button.setAttribute("aria-label", t(is ? "player.stop" : "player.play", { recording: label }));
      note.textContent = t(is ? "player.playing" : self.heard ? "player.heard" : "player.cut");
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
      note.textContent = t("player.failed");
      status.textContent = t("player.help");
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
  const answered = () => new Set([...state.elsewhere, ...state.answers.map((answer) => answer.trial)]);
  function open(all) {
    // The first question without an answer; a part is begun with its instructions
    const known = answered();
    const first = all.findIndex((step) => step.kind === "trial" && !known.has(step.id));
    if (first < 0) return all.length;
    return all[first].index > 1 ? first : all.findIndex((step) => step.part === all[first].part);
  }
  function go() {
    const all = steps();
    if (state.finished) return thanks();
    if (!state.ready) return setup();
    state.position = Math.max(state.position, open(all));
    if (state.position >= all.length) return comment();
    const step = all[state.position];
    const title = t(`tests.${step.test}.title`);
    const place = step.index ? t(step.kind === "training" ? "place.practice" : "place.trial", step) : "";
    said(step.parts > 1 ? t("place.part", { ...step, title }) : title, place, state.position / all.length);
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
    const parts = plan.forms[0], count = plan.forms.length;
    const titles = [...new Set(parts.map((part) => part.test))].map((test) => t(`tests.${test}.title`));
    const about = { parts: parts.length, names: titles.join(t("page.separator")) };
    const field = (id, text, value, more) => [make("label", { class: "field", for: id }, text), make("input", { type: "text", id, autocomplete: "off", value, ...more })];
    const rater = field("rater", t("welcome.code"), linked("rater"), { maxlength: "64" });
    const number = field("number", t("welcome.number", { count }), linked("form").slice(0, 5), { maxlength: "5", inputmode: "numeric" });
    const preview = link.assignmentId === "ASSIGNMENT_ID_NOT_AVAILABLE";
    const problem = make("p", { class: "warn", role: "alert" }, preview ? t("welcome.preview") : "");
    async function start() {
      const name = participant || rater[1].value.trim(), wanted = number[1].value.trim();
      if (!server && wanted && !(/^\d+$/.test(wanted) && Number(wanted) >= 1 && Number(wanted) <= count)) {
        problem.textContent = t("welcome.wrong_number", { count });
        return;
      }
      let begun = { session: token(), form: Number(wanted) || 1 + drawn() % count };
      if (server) {
        try {
          begun = await post("api/start", { plan: plan.id, rater: name, link });
        } catch {
          problem.textContent = t("server.silent");
          return;
        }
      }
      state = { session: begun.session, form: begun.form, rater: name, link, started: new Date().toISOString(),
        about: {}, position: 0, answers: [], elsewhere: [], sent: 0, served: server, ready: false, finished: "" };
      known(begun);
      back();
    }
    show(plan.title,
      plan.intro ? make("p", { class: "intro" }, plan.intro) : null,
      make("p", {}, t("welcome.about", plan)),
      make("ul", {}, ...["quiet", parts.length > 1 ? "parts" : "one", "opinion", server && participant ? "anywhere" : "later"]
        .map((name) => make("li", {}, t(`welcome.${name}`, about)))),
      make("p", { class: "soft" }, t(participant || Object.keys(link).length ? "welcome.privacy_link" : "welcome.privacy")),
      ...(participant ? [make("p", { id: "participant" }, t("welcome.taking_part", { participant }))] : rater),
      ...(server || participant ? [] : number),
      problem,
      make("div", { class: "actions" }, next(t("welcome.start"), start, !preview)));
  }
  function drawn() {
    // One participant gets one form in every browser, so far as a page without a server can see to it
    if (!participant) return Math.floor(Math.random() * 2 ** 32);
    return [...participant].reduce((sum, letter) => Math.imul(sum ^ letter.codePointAt(0), 16777619) >>> 0, 2166136261);
  }

  function known(there) {
    // What the server has of this session already, perhaps from another browser
    state.elsewhere = there.answered || [];
    state.code = there.code || "";
    if (there.finished && !state.finished) Object.assign(state, { finished: state.started, told: true });
    keep();
  }
  async function takeUp() {
    if (server) {
      try { known(await post("api/start", { plan: plan.id, session: state.session })); } catch { /* sending says so */ }
      if (!state) return undefined;
      send();
    }
    state.turn = token();  // what is kept changes, so that another tab hears of it
    keep();
    return back();
  }
  function back() {
    const done = answered().size, count = steps().filter((step) => step.kind === "trial").length;
    if (state.finished || !(state.ready || done)) return go();
    said("", "", null);
    const over = () => confirm(t("back.lose")) && (forget(), welcome());
    show(t("back.title"), make("p", { id: "back" }, t("back.place", { done, count })), make("p", {}, t("back.volume")),
      make("div", { class: "actions" }, next(t("back.go_on"), go)), participant ? null : aside("other", t("back.other"), over));
    onKey = (name) => name === "Enter" && (go(), true);
    return undefined;
  }
  function aside(id, label, action) {
    return make("p", { class: "soft" }, make("button", { class: "second aside", type: "button", id, onclick: action }, label));
  }

  function setup() {
    said(t("place.before"), "", null);
    let beeps = "";
    const names = Object.keys(plan.questions);
    const questions = names.map((name) => make("fieldset", {}, make("legend", {}, t(`questions.${name}.text`)),
      choices(name, plan.questions[name].map((value) => ({ value, label: t(`questions.${name}.${value}`) })), false,
        (value) => { state.about[name] = value; keep(); check(); })));
    const button = next(t("setup.go_on"), done, false);
    const problem = make("p", { class: "warn", role: "alert" });
    const volume = player(t("setup.recording"), plan.volume.file, () => { heard.disabled = false; check(); });
    const heard = make("fieldset", { disabled: true }, make("legend", {}, t("setup.beeps")),
      choices("beeps", ["1", "2", "3", "4"].map((value) => ({ value, label: value })), false, (value) => { beeps = value; problem.textContent = ""; check(); }));
    function check() {
      button.disabled = !(beeps && names.every((name) => state.about[name]));
    }
    function done() {
      if (beeps !== String(plan.volume.beeps)) {
        problem.textContent = t("setup.wrong");
        return;
      }
      state.ready = true;
      keep();
      go();
    }
    show(t("setup.title"), ...questions,
      make("h2", {}, t("setup.volume")),
      make("p", {}, t("setup.how")),
      make("div", { class: "players" }, volume.element), heard, problem,
      make("div", { class: "actions" }, button));
    players = [volume];
    for (const name of names) {
      for (const input of main.querySelectorAll(`input[name="${name}"]`)) input.checked = input.value === state.about[name];
    }
  }

  function instructions(step) {
    const title = t(`tests.${step.test}.title`);
    const points = ["end", plan.tests[step.test].scale ? "scale" : "", "no_return"].filter(Boolean);
    const keys = Object.fromEntries(["space", "enter"].map((name) => [name, make("kbd", {}, t(`instructions.${name}`))]));
    show(step.parts > 1 ? t("instructions.title", { ...step, title }) : title,
      ...["heard", "judge"].map((name) => make("p", {}, t(`tests.${step.test}.${name}`))),
      make("ul", {}, ...points.map((name) => make("li", {}, t(`instructions.${name}`)))),
      make("div", { class: "note" }, make("p", {}, t("instructions.checks"))),
      make("p", { class: "soft keys" }, ...rich("instructions.keys", keys)),
      make("div", { class: "actions" }, next(t("instructions.start"), forward)));
    onKey = (name) => name === "Enter" && (forward(), true);
  }

  function begin(step) {
    show(t("begin.title"), make("p", {}, t("begin.text", step)), make("div", { class: "actions" }, next(t("begin.start"), forward)));
    onKey = (name) => name === "Enter" && (forward(), true);
  }

  function trial(step) {
    const about = plan.trials[step.id], test = plan.tests[step.test];
    const since = performance.now();
    let chosen = "", ready = false, left = false;
    const button = next(t("trial.next"), done, false);
    const options = test.options.map((option) => {
      const place = `tests.${step.test}.${option.value}`;
      return { ...option, label: t(`${place}.label`), hint: plan.texts[`${place}.hint`] };
    });
    const hint = make("p", { class: "soft", id: "hint", role: "status" }, t(test.recordings.length > 1 ? "trial.hear_all" : "trial.hear_one"));
    const problem = make("p", { class: "warn", role: "alert" });
    const kept = test.recordings.map((name, at) => player(t(`recordings.${name}`), about.files[at], unlock));
    const answers = make("fieldset", { disabled: true, "aria-describedby": "hint" }, make("legend", {}, t("trial.answer")),
      choices("answer", options, true, (value) => { chosen = value; problem.textContent = ""; button.disabled = false; }));
    function unlock() {
      ready = kept.every((one) => one.heard);
      answers.disabled = !ready;
      if (ready) hint.textContent = t("trial.ready");
    }
    function done() {
      if (!chosen || left) return;
      if (about.expect && chosen !== about.expect) {
        const right = options.find((option) => option.value === about.expect);
        problem.textContent = t("trial.wrong", { number: right.key, label: right.label });
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
    show(t(`tests.${step.test}.question`), make("div", { class: "players" }, ...kept.map((one) => one.element)), answers, hint, problem,
      make("div", { class: "actions" }, button));
    players = kept;
    onKey = (name) => {
      if (name === " ") return playNext(), true;
      const named = kept.find((one) => one.label.length === 1 && one.label.toLowerCase() === name.toLowerCase());
      if (named) return named.toggle(), true;
      if (name === "Enter") return done(), true;
      const at = ready ? options.findIndex((option) => option.key === name) : -1;
      if (at < 0) return false;
      const input = answers.querySelectorAll("input")[at];
      input.checked = true;
      input.dispatchEvent(new Event("change"));
      return true;
    };
  }

  function comment() {
    said(t("place.done"), "", 1);
    const text = make("textarea", { id: "comment", maxlength: "2000" });
    function done() {
      state.comment = text.value.trim();
      state.finished = new Date().toISOString();
      keep();
      thanks();
    }
    show(t("comment.title"), make("label", { class: "field", for: "comment" }, t("comment.text")), text,
      make("div", { class: "actions" }, next(t("comment.finish"), done)));
  }

  function thanks() {
    said(t("place.done"), "", 1);
    const again = participant ? null : aside("again", t("end.again"), over);
    async function over() {
      if (server && waiting() && !confirm(t("end.unsent"))) return;
      if (!server && !confirm(t("end.unsaved"))) return;
      forget();
      welcome();
    }
    if (server) {
      const saved = make("p", { id: "saved", role: "status" }, t("end.saving")), file = make("div"), report = make("div");
      show(t("end.title"), saved, file, report, again);
      onSent = () => {
        saved.textContent = t(!state.told ? "end.away" : reported() ? "end.saved_return" : "end.saved");
        file.replaceChildren(...(state.told ? [] : file.childElementCount ? file.children : [downloads()]));
        report.replaceChildren(...(state.told ? reports() : []));
      };
      if (waiting()) send();
      else onSent();
      return;
    }
    // Who has left before the file is saved has listened in vain
    const later = make("div");
    const shown = () => later.replaceChildren(...(state.saved || !reported() ? reports() : [make("p", { class: "soft" }, t("end.after_saving"))]));
    show(t("end.title"), make("p", {}, t("end.file")), downloads(() => { state.saved = true; keep(); shown(); }), later, again);
    shown();
  }

  // What the platform that sent the listener wants to know

  const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  function code() {
    if (!plan.completion.own) return plan.completion.code;
    if (state.served) return state.code;
    const letters = state.session.match(/../g).slice(0, 10).map((pair) => LETTERS[parseInt(pair, 16) & 31]).join("");
    return `${letters.slice(0, 5)}-${letters.slice(5)}`;
  }
  const reported = () => Boolean(plan.completion.url || code());
  function reports() {
    const mine = code(), { url } = plan.completion;
    const copy = make("button", { class: "second", type: "button", id: "copy", onclick: () => {
      navigator.clipboard.writeText(mine).then(() => { copy.textContent = t("end.copied"); }, () => copy.remove());
    } }, t("end.copy"));
    return [
      mine ? make("p", { class: "code" }, make("span", {}, t("end.code")), make("b", { id: "code" }, mine), navigator.clipboard ? copy : null) : null,
      url ? make("div", { class: "actions" }, make("a", { class: "button", id: "return", rel: "noreferrer", href: url.replaceAll("{code}", mine) }, t("end.return", { site: new URL(url).host }))) : null,
    ].filter(Boolean);
  }

  // Answers as a file

  function downloads(onsaved = () => {}) {
    const rest = { plan: plan.id, session: state.session, form: state.form, served: state.served, rater: state.rater, started: state.started, finished: state.finished || "" };
    const json = JSON.stringify({ vceval_listening: 1, ...rest, link: state.link, about: state.about, comment: state.comment || "", answers: state.answers }, null, 1);
    const columns = [...Object.keys(rest), ...Object.keys(state.link), ...Object.keys(plan.questions), "comment", "trial", "answer", "seconds", "plays"];
    // An apostrophe keeps spreadsheets from taking a comment for a formula; vceval takes it off again
    const safe = (text) => (/^'*[=+\-@\t\r\n]./s.test(text) ? `'${text}` : text);
    const quoted = (value) => `"${safe(String(value === undefined ? "" : value)).replaceAll('"', '""')}"`;
    const rows = state.answers.map((answer) => columns.map((name) => quoted({ ...rest, ...state.link, ...state.about, comment: state.comment, ...answer }[name])).join(","));
    const csv = [columns.join(","), ...rows, ""].join("\n");
    const name = `answers-${plan.id.slice(0, 6)}-${state.form}-${state.session.slice(0, 6)}`;
    const link = (text, kind, content, label, style) => make("a", { class: style, download: `${name}.${kind}`, href: URL.createObjectURL(new Blob([content], { type: text })), id: `save-${kind}`, onclick: onsaved }, label);
    return make("div", { class: "actions" }, link("application/json", "json", json, t("end.save"), "button"), link("text/csv", "csv", csv, t("end.csv"), "button second"));
  }

  async function begun() {
    const kept = state && state.form >= 1 && state.form <= plan.forms.length;
    server = kept && "served" in state ? state.served : await found();
    status.textContent = "";
    return kept ? takeUp() : welcome();
  }
  begun();
})();
