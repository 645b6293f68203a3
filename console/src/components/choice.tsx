/** One of a few, side by side; which one is told by the state of the buttons, not by colour alone. */
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
        <button
          key={value}
          type="button"
          className="button small"
          aria-pressed={props.value === value}
          onClick={() => props.onChange(value)}
        >
          {text}
        </button>
      ))}
    </fieldset>
  );
}
