import { type Call, curl } from "../lib/shell";
import { Code, Popover } from "./basics";

/** The button of each picture and table: the API call and the command that give the same. */
export function ShowCall({ call, cli, python }: { call: Call; cli?: string; python?: string }) {
  return (
    <Popover label={<span>API · CLI</span>} title="The same from a terminal" small>
      <div className="stack" style={{ gap: 12 }}>
        <div>
          <h2 className="minor">API</h2>
          <Code text={curl(call, location.origin)} wrap label="API call" />
        </div>
        {cli && (
          <div>
            <h2 className="minor">Command line</h2>
            <Code text={cli} wrap label="Command" />
          </div>
        )}
        {python && (
          <div>
            <h2 className="minor">Python</h2>
            <Code text={python} label="Python" />
          </div>
        )}
      </div>
    </Popover>
  );
}
