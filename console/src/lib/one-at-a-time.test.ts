import { expect, it } from "vitest";
import { oneAtATime } from "./one-at-a-time";

it("starts the next when the one before has ended, also by a failure, and leaves out what nobody waits for", async () => {
  const run = oneAtATime();
  const log: string[] = [];
  let end: (value: string) => void = () => undefined;
  const first = run(() => {
    log.push("first");
    return new Promise<string>((done) => {
      end = done;
    });
  });
  const second = run(() => {
    log.push("second");
    return Promise.reject(new Error("no"));
  });
  const gone = new AbortController();
  const third = run(() => Promise.resolve(log.push("third")), gone.signal);
  const fourth = run(() => Promise.resolve("done"));
  await Promise.resolve();
  expect(log).toEqual(["first"]);
  gone.abort();
  end("one");
  expect(await first).toBe("one");
  await expect(second).rejects.toThrow("no");
  await expect(third).rejects.toThrow();
  expect(await fourth).toBe("done");
  expect(log).toEqual(["first", "second"]);
});
