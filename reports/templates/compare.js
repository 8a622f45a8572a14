"use strict";
// One player at a time; a recording goes on where the one beside it was, so that the ear compares the same place.
(() => {
  document.addEventListener("play", (event) => {
    const player = event.target;
    for (const other of document.querySelectorAll("audio")) {
      if (other === player || other.paused) continue;
      const together = other.closest("tr") === player.closest("tr");
      if (together && other.classList.contains("converted") && player.classList.contains("converted")) {
        player.currentTime = Math.min(other.currentTime, player.duration || other.currentTime);
      }
      other.pause();
    }
  }, true);
})();
