// What is shown stays true: views that ask again every now and then.

/** Runs `refresh` now and every `seconds` while the page is seen; returns what ends it. */
export function every(seconds, refresh) {
  let timer = 0, over = false;
  const run = async () => {
    if (!document.hidden) {
      try {
        await refresh();
      } catch {
        // The server may be away for a moment; what is shown stays until it is back.
      }
    }
    if (!over) timer = setTimeout(run, seconds * 1000);
  };
  timer = setTimeout(run, seconds * 1000);
  return () => { over = true; clearTimeout(timer); };
}
