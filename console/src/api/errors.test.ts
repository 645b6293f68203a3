import { describe, expect, it } from "vitest";
import { advice, readError } from "./errors";

const answer = (status: number) => new Response(null, { status, headers: { "x-request-id": "req-1" } });

describe("errors", () => {
  it("reads the three shapes that the server speaks", () => {
    const native = readError("load it", answer(404), {
      title: "not found",
      detail: "no deployment churn",
      hint: "apply one",
    });
    expect(native.message).toBe("no deployment churn");
    expect(native.details).toMatchObject({ hint: "apply one", requestId: "req-1", what: "load it" });
    expect(
      readError("x", answer(400), { error_code: "INVALID_PARAMETER_VALUE", message: "bad filter" }),
    ).toMatchObject({
      message: "bad filter",
      details: { code: "INVALID_PARAMETER_VALUE" },
    });
    expect(readError("x", answer(400), { error: "input a is missing" }).message).toBe("input a is missing");
  });

  it("says what to do when the server has no hint", () => {
    expect(advice(readError("x", answer(403), {}))).toContain("role");
    expect(advice(readError("x", answer(500), {}))).toContain("request id");
    expect(advice(readError("x", answer(500), { hint: "free some space" }))).toBe("free some space");
  });
});
