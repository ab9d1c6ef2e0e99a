// Boards that follow each other on one screen: `?carousel=home:30,command,stability:60` names them
// and how long each stays (seconds, 30 unless said). Arrows turn the page, the space bar holds it.

const USUAL = 30;
const SHORTEST = 5;

interface Stop {
  board: string;
  seconds: number;
}

/** The boards of the round; names that cannot be boards are left out. */
export function stops(text: string): Stop[] {
  return text
    .split(",")
    .map((part) => part.trim().split(":"))
    .filter(([board]) => /^[a-z0-9_]+$/.test(board ?? ""))
    .map(([board, seconds]) => ({ board: board ?? "", seconds: Math.max(SHORTEST, Number(seconds) || USUAL) }));
}

/** Turns to the next board when its time is over; does nothing on a page without a round. */
export function carousel(here: string, say: (text: string) => void, words: { held: string; next: string }): void {
  const params = new URLSearchParams(location.search);
  const round = stops(params.get("carousel") ?? "");
  if (round.length < 2) return;
  const at = Math.max(0, round.findIndex((stop) => stop.board === here));
  let held = false;
  let timer = 0;
  const turn = (step: number) => {
    const stop = round[(at + step + round.length) % round.length];
    // What was chosen on this board does not fit the next; the layout, the theme and the round stay.
    const keep = new URLSearchParams();
    for (const name of ["layout", "theme", "carousel", "lang"]) {
      const value = params.get(name);
      if (value) keep.set(name, value);
    }
    if (stop) location.assign(`/boards/${stop.board}?${keep}`);
  };
  const wait = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void go(), (round[at]?.seconds ?? USUAL) * 1000);
  };
  // A server that does not answer leaves the last good picture on the screen; a board that is gone
  // or may not be seen is passed over.
  const go = async () => {
    for (let step = 1; step < round.length; step++) {
      const board = round[(at + step) % round.length]?.board;
      try {
        const response = await fetch(`/boards/${board}/layout.css`, { credentials: "same-origin", cache: "no-store" });
        if (held) return;
        if (response.ok && !response.redirected) return turn(step);
      } catch {
        break;
      }
    }
    wait();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as HTMLElement).closest("input, select, textarea, button, a, dialog, [role=button]")) return;
    if (event.key === "ArrowRight" || event.key === "PageDown") turn(1);
    else if (event.key === "ArrowLeft" || event.key === "PageUp") turn(-1);
    else if (event.key === " ") {
      held = !held;
      say(held ? words.held : words.next);
      if (held) window.clearTimeout(timer);
      else wait();
    } else return;
    event.preventDefault();
  });
  say(words.next);
  wait();
}
