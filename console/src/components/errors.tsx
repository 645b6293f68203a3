import { Component, type ReactNode } from "react";
import { ApiError, advice } from "../api/errors";
import { CopyButton } from "./basics";
import { ScrollBox } from "./scroll-box";

/** What failed, the server's words, what to do, the request's id, and a way to try again. */
export function ErrorBox({ error, retry }: { error: unknown; retry?: () => void }) {
  const api = error instanceof ApiError ? error : undefined;
  // What stands below the first line is a text with a caret under the place at fault.
  const [message, ...shown] = (error instanceof Error ? error.message : String(error)).split("\n");
  const id = api?.details.requestId;
  return (
    <div className="notice bad" role="alert">
      <h2>{api?.details.what ? `Could not ${api.details.what}` : "Something failed"}</h2>
      <p className="break">
        {message}
        {api && api.status > 0 && (
          <span className="quiet"> ({[api.status, api.details.code].filter(Boolean).join(" ")})</span>
        )}
      </p>
      {shown.length > 0 && (
        <div className="code">
          <ScrollBox as="pre" label="Where">
            {shown.join("\n")}
          </ScrollBox>
        </div>
      )}
      <p>{api ? advice(api) : "Load the page again; if it stays, report it with the text above."}</p>
      <div className="row below">
        {retry && (
          <button type="button" className="button small" onClick={retry}>
            Try again
          </button>
        )}
        {id && (
          <>
            <span className="small">
              Request id <code>{id}</code>
            </span>
            <CopyButton text={id} label="Copy id" />
          </>
        )}
      </div>
    </div>
  );
}

/** Keeps one broken page from taking the frame with it. */
export class Boundary extends Component<{ children: ReactNode; place: string }, { error: unknown }> {
  override state = { error: undefined as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidUpdate(before: { place: string }) {
    if (before.place !== this.props.place && this.state.error !== undefined)
      this.setState({ error: undefined });
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return <ErrorBox error={this.state.error} retry={() => this.setState({ error: undefined })} />;
  }
}
