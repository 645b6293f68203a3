import { expect, it } from "vitest";
import { csv } from "./data";

it("copies numbers as they are and keeps a spreadsheet from running a name", () => {
  const series = ["=HYPERLINK(1)", '+a,"b"', "-loss", "@x", "acc"].map((label) => ({
    label,
    values: [-1, null],
  }));
  expect(csv({ label: "l", x: [1, 2], xKind: "step", xLabel: "step", series })).toBe(
    `step,'=HYPERLINK(1),"'+a,""b""",'-loss,'@x,acc\n1,-1,-1,-1,-1,-1\n2,,,,,`,
  );
});
