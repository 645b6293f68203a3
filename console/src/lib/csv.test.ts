import { expect, it } from "vitest";
import { readCsv } from "./csv";

it("reads quotes, line ends of both kinds and empty cells", () => {
  expect(readCsv('a,"b, c",""\r\n1,"say ""hi""\nthere",\n\n2,3,4', ",", 10)).toEqual([
    ["a", "b, c", ""],
    ["1", 'say "hi"\nthere', ""],
    ["2", "3", "4"],
  ]);
});

it("splits at tabs and stops after enough rows", () => {
  expect(readCsv("a\tb\n1,5\t2\n3\t4\n", "\t", 2)).toEqual([
    ["a", "b"],
    ["1,5", "2"],
  ]);
  expect(readCsv("", ",", 5)).toEqual([]);
});
