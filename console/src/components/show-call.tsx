import { type Call, curl } from "../lib/shell";
import { Code, Popover } from "./basics";

/** The button of each picture and table: the API call and the command that give the same. */
export function ShowCall({ call, cli, python }: { call: Call; cli?: string; python?: string }) {
  return (
    <Popover label={<span>API · CLI</span>} title="The same from a terminal" small>
      <div className="stack" style={{ gap: 12 }}>
        <div>
          <h3>API</h3>
          <Code text={curl(call, location.origin)} wrap label="API call" />
        </div>
        {cli && (
          <div>
            <h3>Command line</h3>
            <Code text={cli} wrap label="Command" />
          </div>
        )}
        {python && (
          <div>
            <h3>Python</h3>
            <Code text={python} label="Python" />
          </div>
        )}
      </div>
    </Popover>
  );
}
