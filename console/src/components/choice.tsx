import type { ReactNode } from "react";

/** A button that is on or off, told by its state and not by colour alone. */
export function Toggle(props: { on: boolean; onPress: () => void; children: ReactNode }) {
  return (
    <button type="button" className="button small" aria-pressed={props.on} onClick={props.onPress}>
      {props.children}
    </button>
  );
}

/** One of a few, side by side. */
export function Choice<K extends string>(props: {
  label: string;
  options: readonly (readonly [K, string])[];
  value: string;
  onChange: (next: K) => void;
}) {
  return (
    <fieldset className="seg">
      <legend className="sr">{props.label}</legend>
      {props.options.map(([value, text]) => (
        <Toggle key={value} on={props.value === value} onPress={() => props.onChange(value)}>
          {text}
        </Toggle>
      ))}
    </fieldset>
  );
}
