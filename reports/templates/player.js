// One player for the whole page: one recording sounds at a time, and another one of the same pair goes on from there.

const player = (() => {
  const bar = document.getElementById("player");
  if (!bar) return null;
  const [back, toggle, next] = bar.querySelectorAll("button");
  const seek = bar.querySelector("input[type=range]");
  const repeat = bar.querySelector("input[type=checkbox]");
  const title = document.getElementById("playing");
  const time = bar.querySelector("output");
  const sounds = new Map(); // of the pair that was listened to last, so that switching is instant
  let group = null;
  let current = null; // the recording chosen: {src, label, button}
  let turn = 0; // a choice that is overtaken by a later one does nothing

  const source = async (src) => {
    if (!src.startsWith("#")) return src;
    const {type, data} = await load(src.slice(1));
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], {type}));
  };

  const sound = async (recording) => {
    if (!sounds.has(recording)) {
      const audio = new Audio();
      sounds.set(recording, audio);
      audio.preload = "auto";
      audio.addEventListener("ended", show);
      audio.addEventListener("pause", show);
      audio.addEventListener("play", show);
      audio.src = await source(recording.src);
    }
    return sounds.get(recording);
  };

  const ready = (audio) => new Promise((resolve, reject) => {
    if (audio.readyState >= 1) resolve();
    audio.addEventListener("loadedmetadata", resolve, {once: true});
    audio.addEventListener("error", () => reject(new Error("can't be played")), {once: true});
  });

  const playing = () => current && sounds.get(current);

  // The same second; in recordings of clearly different length, the same share.
  const carried = (from, to) => {
    if (from.ended || !from.duration || !to.duration) return 0;
    const alike = Math.abs(from.duration - to.duration) <= 0.1 * Math.max(from.duration, to.duration);
    return alike ? Math.min(from.currentTime, to.duration - 0.05) : from.currentTime / from.duration * to.duration;
  };

  const clock = (seconds) => (Number.isFinite(seconds) ? seconds.toFixed(1) : "0.0");

  const show = () => {
    const audio = playing();
    const sounding = Boolean(audio) && !audio.paused && !audio.ended;
    for (const one of document.querySelectorAll("button.play[aria-pressed=true]")) one.setAttribute("aria-pressed", "false");
    if (current) current.button.setAttribute("aria-pressed", String(sounding));
    toggle.setAttribute("aria-label", sounding ? "Pause" : "Play");
    toggle.classList.toggle("sounding", sounding);
    bar.hidden = !current;
    if (audio) {
      audio.loop = repeat.checked;
      seek.max = audio.duration || 1;
      if (document.activeElement !== seek || sounding) seek.value = audio.currentTime;
      time.textContent = `${clock(audio.currentTime)} / ${clock(audio.duration)} s`;
    }
    if (sounding) requestAnimationFrame(show);
  };

  const choose = async (recording, recordings) => {
    const mine = ++turn;
    const before = playing();
    const same = group === recordings;
    if (before && current === recording) {
      if (before.paused) before.play(); else before.pause();
      return;
    }
    if (before) before.pause();
    if (!same) {
      for (const audio of sounds.values()) {
        audio.pause();
        if (audio.src.startsWith("blob:")) URL.revokeObjectURL(audio.src);
        audio.removeAttribute("src");
      }
      sounds.clear();
      group = recordings;
    }
    try {
      const audio = await sound(recording);
      await ready(audio);
      if (mine !== turn) return;
      audio.currentTime = same && before ? carried(before, audio) : 0;
      current = recording;
      title.textContent = `${recording.label} · ${recording.pair}`;
      await audio.play();
      for (const other of recordings) sound(other);
    } catch (error) {
      if (mine === turn && error.name !== "AbortError") {
        sounds.delete(recording);
        recording.button.title = `${recording.label}: this browser can't play it (${error.message})`;
        recording.button.classList.add("broken");
      }
    }
    show();
  };

  const step = (by) => {
    const place = group.indexOf(current) + by;
    choose(group[(place + group.length) % group.length], group);
  };

  toggle.addEventListener("click", () => current && choose(current, group));
  back.addEventListener("click", () => step(-1));
  next.addEventListener("click", () => step(1));
  repeat.addEventListener("input", show);
  seek.addEventListener("input", () => {
    if (playing()) playing().currentTime = Number(seek.value);
    show();
  });
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea, summary, a");
    if (!current || busy || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && !event.target.closest("button, input")) {
      event.preventDefault();
      choose(current, group);
    } else if (/^[1-9]$/.test(event.key) && group[event.key - 1]) {
      choose(group[event.key - 1], group);
    }
  });

  // For what is put on the page anew: the button of the recording that sounds.
  const adopt = (recordings) => {
    const mine = current && recordings.find((one) => one.src === current.src && one.pair === current.pair);
    if (!mine) return recordings;
    recordings.forEach((one, place) => Object.assign(group[place], {button: one.button}));
    show();
    return group;
  };

  return {choose, adopt};
})();
