/**
 * Runs what it is given one after the other: the server lets a few queries of the journal run at once
 * and refuses more, and one page must not take all the places.
 */
export function oneAtATime(): <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T> {
  let before: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    const mine = before.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    // The next one comes whether this one succeeds or not.
    before = mine.catch(() => undefined);
    return mine;
  };
}
