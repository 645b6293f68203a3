import { describe, expect, it } from "vitest";
import { type FieldSpec, parseRow } from "./row-form";

const field = (name: string, type: string, more: Partial<FieldSpec> = {}): FieldSpec => ({
  name,
  type,
  required: true,
  elements: 1,
  ...more,
});

describe("the row of a try-it form", () => {
  it("types each field by the signature", () => {
    const fields = [
      field("age", "long"),
      field("score", "double"),
      field("vip", "boolean"),
      field("city", "string"),
      field("note", "string", { required: false }),
      field("x", "FP32", { elements: 3 }),
    ];
    expect(
      parseRow(fields, { age: "41", score: "-1.5e3", vip: "true", city: "Łódź", x: "[1, 2, 3]" }),
    ).toEqual({
      row: { age: 41, score: -1500, vip: true, city: "Łódź", x: [1, 2, 3] },
    });
  });

  it("names every field that does not fit", () => {
    const fields = [
      field("age", "INT64"),
      field("score", "FP64"),
      field("x", "FP32", { elements: 2 }),
      field("y", "FP32"),
    ];
    const result = parseRow(fields, { age: "4.5", score: "much", x: "[1]" });
    expect(result).toEqual({
      wrong: {
        age: "A whole number is needed.",
        score: "A number is needed.",
        x: "2 values are needed, these are 1.",
        y: "A value is needed.",
      },
    });
  });

  it("takes nested columns as JSON of the kind that the signature names", () => {
    const fields = [
      field("list", "array"),
      field("map", "object"),
      field("any", "any"),
      field("more", "map", { required: false }),
    ];
    expect(parseRow(fields, { list: "[1, [2]]", map: '{"a": null}', any: '"x"', more: " " })).toEqual({
      row: { list: [1, [2]], map: { a: null }, any: "x" },
    });
    expect(parseRow(fields, { list: "{}", map: "[]", any: "{", more: "null" })).toEqual({
      wrong: {
        list: "A JSON array is needed.",
        map: "A JSON object is needed.",
        any: "JSON is needed.",
        more: "A JSON object is needed.",
      },
    });
  });

  it("refuses integers that JavaScript cannot hold exactly", () => {
    expect(parseRow([field("id", "long")], { id: "9007199254740993" })).toHaveProperty("wrong.id");
  });
});
