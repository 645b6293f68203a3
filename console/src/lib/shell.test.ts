import { describe, expect, it } from "vitest";
import { curl, quote } from "./shell";
import { api, readList, to, writeList } from "./url";

describe("command lines", () => {
  it("quotes what a shell would read", () => {
    expect(quote("plain-1.2")).toBe("plain-1.2");
    expect(quote("it's")).toBe(`'it'\\''s'`);
    expect(quote("a b; rm")).toBe("'a b; rm'");
  });

  it("writes the call as curl", () => {
    expect(curl({ method: "GET", path: "/v2/models?x=1&y=2" }, "http://h:1")).toBe(
      "curl -sS 'http://h:1/v2/models?x=1&y=2'",
    );
    expect(curl({ method: "POST", path: "/p", body: { a: 1 } }, "http://h:1")).toBe(
      `curl -sS http://h:1/p -H 'content-type: application/json' -d '{"a":1}'`,
    );
    expect(curl({ method: "DELETE", path: "/p" }, "http://h:1")).toBe("curl -sS -X DELETE http://h:1/p");
    expect(curl({ method: "GET", path: "/p" }, "http://h:1", true)).toBe(
      `curl -sS http://h:1/p -H "x-api-key: $MAINSPRING_API_KEY"`,
    );
  });
});

describe("addresses", () => {
  it("keeps names with commas and slashes whole", () => {
    const names = ["metrics.a,b", "params.x/y", "é"];
    expect(readList(writeList(names))).toEqual(names);
    expect(readList("")).toEqual([]);
    expect(to("models", "a/b c")).toBe("/models/a%2Fb%20c");
    expect(to("models", "v1.2")).toBe("/models/v1.2/");
    expect(api("models", "v1.2/b")).toBe("/api/v1/models/v1.2%2Fb");
  });
});
