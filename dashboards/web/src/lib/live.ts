// Ticks of data versions as server-sent events, with reconnection that backs off.

const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 60_000;

export type Versions = Record<string, number>;

/** Calls `tick` with changed versions and `state` when the line goes or comes back. */
export function watch(datasets: string[], tick: (versions: Versions) => void, state: (up: boolean) => void): void {
  let delay = FIRST_DELAY;
  let timer = 0;
  let open: EventSource | null = null;
  const connect = () => {
    open?.close();
    const source = new EventSource(`/api/v1/events?datasets=${encodeURIComponent(datasets.join(","))}`);
    open = source;
    const again = () => {
      source.close();
      state(false);
      window.clearTimeout(timer);
      // Half of the delay is chance, so that many walls do not come back at once.
      timer = window.setTimeout(connect, delay * (0.5 + Math.random() / 2));
      delay = Math.min(delay * 2, LONGEST_DELAY);
    };
    source.addEventListener("tick", (event) => {
      delay = FIRST_DELAY;
      state(true);
      tick(JSON.parse((event as MessageEvent<string>).data) as Versions);
    });
    source.addEventListener("closed", (event) => {
      const { reason } = JSON.parse((event as MessageEvent<string>).data) as { reason: string };
      if (reason === "session") location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      else again();
    });
    source.onerror = again;
  };
  connect();
  // A page that was left keeps its stream open in the back-forward cache; a browser opens six
  // connections to a server, so the seventh board would wait for the first.
  window.addEventListener("pagehide", () => {
    window.clearTimeout(timer);
    open?.close();
    open = null;
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) connect();
  });
  window.addEventListener("online", () => {
    window.clearTimeout(timer);
    delay = FIRST_DELAY;
    timer = window.setTimeout(connect, 0);
  });
}
