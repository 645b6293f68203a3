/** Writes a declaration as YAML, as people keep it in a file. */

/** Whether YAML reads the text as that text without quotes. */
function plain(text: string): boolean {
  return (
    /^[A-Za-z0-9_./][A-Za-z0-9_./:@%+-]*$/.test(text) &&
    !text.endsWith(":") &&
    !/^(true|false|yes|no|on|off|null|~)$/i.test(text) &&
    !/^[+-]?[.\d]/.test(text)
  );
}

function scalar(value: unknown): string {
  if (typeof value === "string") {
    // A duration such as 250ms begins like a number and is none.
    return plain(value) || /^\d+(\.\d+)?(?!x)[A-Za-z%]+$/i.test(value) ? value : JSON.stringify(value);
  }
  return JSON.stringify(value ?? null);
}

function isLeaf(value: unknown): boolean {
  return typeof value !== "object" || value === null || Object.keys(value).length === 0;
}

function lines(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      if (isLeaf(item)) return [`${indent}- ${scalar(item)}`];
      const [first = "", ...rest] = lines(item, `${indent}  `);
      return [`${indent}- ${first.trimStart()}`, ...rest];
    });
  }
  return Object.entries(value as Record<string, unknown>).flatMap(([key, item]) => {
    const name = `${indent}${plain(key) ? key : JSON.stringify(key)}:`;
    return isLeaf(item) ? [`${name} ${scalar(item)}`] : [name, ...lines(item, `${indent}  `)];
  });
}

export function yaml(value: unknown): string {
  return isLeaf(value) ? scalar(value) : lines(value, "").join("\n");
}
