import { percent } from "../lib/format";
import type { State } from "./basics";

/** A share as a bar and a figure. What is below nothing, or beyond everything, only the figure says. */
export function Share(props: { share: number; state?: State; digits?: number }) {
  const { share, state, digits = 1 } = props;
  const filled = Math.min(1, Math.max(0, share));
  return (
    <span className="share">
      <span className="bar" aria-hidden="true">
        {filled > 0 && <i className="part" data-state={state} style={{ width: `${filled * 100}%` }} />}
        <i className="rest" />
      </span>
      <span className="num">{percent(share, digits)}</span>
    </span>
  );
}
