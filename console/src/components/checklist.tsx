import { useId, useState } from "react";

/** A list that long is filtered rather than read. */
const LONG = 12;

/** Several of many, in groups; a long list has a filter by name. */
export function Checklist(props: {
  groups: { title?: string; options: { key: string; label: string }[] }[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}) {
  const { chosen, onChange } = props;
  const id = useId();
  const [filter, setFilter] = useState("");
  const all = props.groups.reduce((n, group) => n + group.options.length, 0);
  const wanted = filter.toLowerCase();
  const groups = props.groups
    .map((group) => ({
      ...group,
      options: group.options.filter(({ label }) => label.toLowerCase().includes(wanted)),
    }))
    .filter(({ options }) => options.length > 0);
  return (
    <div className="stack tight">
      {all > LONG && (
        <input
          className="input small"
          type="search"
          aria-label="Filter this list"
          placeholder={`Filter ${all} names`}
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
      )}
      {groups.map(({ title, options }) => (
        <fieldset key={title ?? id}>
          <legend className={title ? "label" : "sr"}>{title ?? "Choose"}</legend>
          {options.map(({ key, label }) => (
            <label key={key} className="check">
              <input
                type="checkbox"
                checked={chosen.includes(key)}
                onChange={() =>
                  onChange(chosen.includes(key) ? chosen.filter((k) => k !== key) : [...chosen, key])
                }
              />
              <span className="break">{label}</span>
            </label>
          ))}
        </fieldset>
      ))}
      {groups.length === 0 && <p className="quiet">No name has “{filter}” in it.</p>}
    </div>
  );
}
