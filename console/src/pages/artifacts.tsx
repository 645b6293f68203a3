import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { artifactUrl } from "../api/mlflow";
import { native } from "../api/native";
import { Card, Code, Empty, KeyValue, Skeleton } from "../components/basics";
import { ErrorBox } from "../components/errors";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { bytes } from "../lib/format";
import { quote } from "../lib/shell";
import { useParam } from "../lib/url";

const TEXT = /(^|\/)(MLmodel|[^/]*\.(txt|md|json|ya?ml|csv|tsv|py|toml|log|html|xml|cfg|ini|sql))$/i;
const PICTURE = /\.(png|jpe?g|gif|webp)$/i;
const TEXT_LIMIT = 256 * 1024;

const base = (path: string) => path.slice(path.lastIndexOf("/") + 1);

/** One folder, opened on demand. */
function Folder(props: { run: string; path?: string; chosen: string; onChoose: (path: string) => void }) {
  const { run, path } = props;
  const [open, setOpen] = useState<string[]>(() => (props.chosen ? parents(props.chosen) : []));
  const query = useQuery({
    queryKey: ["artifacts", run, path ?? ""],
    queryFn: ({ signal }) => native.artifacts(run, path ?? "", signal),
  });
  return (
    <Loaded query={query}>
      {(data) =>
        data === undefined ? (
          <Skeleton />
        ) : data.entries.length === 0 ? (
          <p className="quiet">Nothing here.</p>
        ) : (
          <ul>
            {data.entries.map((file) => (
              <li key={file.path}>
                {file.isDir ? (
                  <>
                    <button
                      type="button"
                      aria-expanded={open.includes(file.path)}
                      onClick={() =>
                        setOpen(
                          open.includes(file.path)
                            ? open.filter((p) => p !== file.path)
                            : [...open, file.path],
                        )
                      }
                    >
                      <span>
                        <span aria-hidden="true">{open.includes(file.path) ? "▾" : "▸"}</span>{" "}
                        {base(file.path)}/
                      </span>
                    </button>
                    {open.includes(file.path) && <Folder {...props} path={file.path} />}
                  </>
                ) : (
                  <button
                    type="button"
                    aria-current={props.chosen === file.path ? "true" : undefined}
                    onClick={() => props.onChoose(file.path)}
                  >
                    <span>{base(file.path)}</span>
                    <span className="quiet nowrap">{bytes(file.size)}</span>
                  </button>
                )}
              </li>
            ))}
          </ul>
        )
      }
    </Loaded>
  );
}

function parents(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

function TextFile({ run, path }: { run: string; path: string }) {
  const text = useQuery({
    queryKey: ["artifact", run, path],
    queryFn: async ({ signal }) => {
      const response = await fetch(artifactUrl(run, path), { signal });
      if (!response.ok) throw new Error(`the server answered ${response.status} for ${path}`);
      const body = await response.text();
      return body.length > TEXT_LIMIT ? `${body.slice(0, TEXT_LIMIT)}\n… the rest is in the download` : body;
    },
  });
  if (text.error) return <ErrorBox error={text.error} retry={() => void text.refetch()} />;
  return text.data === undefined ? <Skeleton width="100%" /> : <Code text={text.data} label={path} />;
}

/** The files of a run: a tree, a preview of text and pictures, a download. */
export function Artifacts({ run }: { run: string }) {
  const [chosen, setChosen] = useParam("path");
  const root = useQuery({
    queryKey: ["artifacts", run, ""],
    queryFn: ({ signal }) => native.artifacts(run, "", signal),
  });
  if (root.data && root.data.entries.length === 0) {
    return (
      <Empty title="No artifacts" command={`mlflow.log_artifact("plot.png")`}>
        This run logged no file. Models logged by MLflow 3 keep their files with the logged model.
      </Empty>
    );
  }
  return (
    <div className="split">
      <Card
        title="Files"
        tools={
          <ShowCall
            call={{ method: "GET", path: `/api/v1/runs/${run}/artifacts` }}
            cli={`MLFLOW_TRACKING_URI=${location.origin} mlflow artifacts list --run-id ${run}`}
          />
        }
      >
        <div className="tree">
          <Folder run={run} chosen={chosen} onChoose={setChosen} />
        </div>
      </Card>
      <Card
        title={chosen ? base(chosen) : "Preview"}
        tools={
          chosen && (
            <a className="button small" href={artifactUrl(run, chosen)} download={base(chosen)}>
              Download
            </a>
          )
        }
      >
        {chosen === "" ? (
          <p className="quiet">Choose a file to see it.</p>
        ) : (
          <div className="stack" style={{ gap: 12 }}>
            <div className="preview">
              {TEXT.test(chosen) ? (
                <TextFile run={run} path={chosen} />
              ) : PICTURE.test(chosen) ? (
                <img src={artifactUrl(run, chosen)} alt={chosen} />
              ) : (
                <p className="quiet">This kind of file has no preview; download it.</p>
              )}
            </div>
            <KeyValue
              items={[
                ["Path", <code key="path">{chosen}</code>],
                ["Load it", <code key="uri">{quote(`runs:/${run}/${chosen}`)}</code>],
              ]}
            />
          </div>
        )}
      </Card>
    </div>
  );
}
