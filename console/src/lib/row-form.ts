/** From text fields to one row of a prediction request, by the types of a signature. */

export interface FieldSpec {
  name: string;
  /** MLflow's type (`double`, `long`, `string`, …) or an Open Inference Protocol type (`FP32`). */
  type: string;
  required: boolean;
  /** Elements that one row of this field has; more than one is written as a JSON array. */
  elements: number;
}

export type Kind = "number" | "integer" | "boolean" | "text" | "json";

const INTEGERS = /^(long|integer|int(8|16|32|64)?|uint(8|16|32|64))$/i;
const NUMBERS = /^(double|float|fp16|bf16|fp32|fp64|float16|float32|float64)$/i;

export function kindOf(field: FieldSpec): Kind {
  if (field.elements !== 1) return "json";
  if (INTEGERS.test(field.type)) return "integer";
  if (NUMBERS.test(field.type)) return "number";
  if (/^bool(ean)?$/i.test(field.type)) return "boolean";
  if (/^(string|bytes|datetime|binary)$/i.test(field.type)) return "text";
  return "json";
}

/** What JSON of a nested column has to be, when its type says it. */
export function shapeOf(field: FieldSpec): "array" | "object" | undefined {
  if (field.elements !== 1) return undefined;
  if (/^array$/i.test(field.type)) return "array";
  return /^(object|map)$/i.test(field.type) ? "object" : undefined;
}

/** One field's value, or why the text is none. `undefined` for an optional field left empty. */
export function parseField(field: FieldSpec, text: string): { value: unknown } | { wrong: string } {
  const kind = kindOf(field);
  const trimmed = text.trim();
  if (trimmed === "" && kind !== "text")
    return field.required ? { wrong: "A value is needed." } : { value: undefined };
  switch (kind) {
    case "integer": {
      if (!/^[+-]?\d+$/.test(trimmed)) return { wrong: "A whole number is needed." };
      const value = Number(trimmed);
      return Number.isSafeInteger(value) ? { value } : { wrong: "Too large for a form; send it with curl." };
    }
    case "number": {
      const value = Number(trimmed);
      return Number.isFinite(value) ? { value } : { wrong: "A number is needed." };
    }
    case "boolean":
      return trimmed === "true" || trimmed === "false"
        ? { value: trimmed === "true" }
        : { wrong: "true or false is needed." };
    case "text":
      return text === "" && !field.required ? { value: undefined } : { value: text };
    case "json":
      try {
        const value: unknown = JSON.parse(trimmed);
        const shape = shapeOf(field);
        if (shape === "array" && !Array.isArray(value)) return { wrong: "A JSON array is needed." };
        if (shape === "object" && (value === null || typeof value !== "object" || Array.isArray(value)))
          return { wrong: "A JSON object is needed." };
        if (field.elements > 1) {
          const given = Array.isArray(value) ? value.flat(Number.POSITIVE_INFINITY).length : 1;
          if (given !== field.elements)
            return { wrong: `${field.elements} values are needed, these are ${given}.` };
        }
        return { value };
      } catch {
        return {
          wrong:
            field.elements > 1 ? `A JSON array of ${field.elements} values is needed.` : "JSON is needed.",
        };
      }
  }
}

/** A whole row, or what is wrong with each field. */
export function parseRow(
  fields: FieldSpec[],
  texts: Record<string, string>,
): { row: Record<string, unknown> } | { wrong: Record<string, string> } {
  const row: Record<string, unknown> = {};
  const wrong: Record<string, string> = {};
  for (const field of fields) {
    const result = parseField(field, texts[field.name] ?? "");
    if ("wrong" in result) wrong[field.name] = result.wrong;
    else if (result.value !== undefined) row[field.name] = result.value;
  }
  return Object.keys(wrong).length > 0 ? { wrong } : { row };
}

/** A value as the text of its field. */
export function writeField(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
