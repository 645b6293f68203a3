import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { FileEntry, FilePlace } from "../../api/files";
import { Card, Empty, KeyValue, Skeleton } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { bytes } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Preview } from "./preview";

const base = (path: string) => path.slice(path.lastIndexOf("/") + 1);

function useFolder(place: FilePlace, path: string) {
  return useQuery({
    queryKey: ["files", place.id, place.uri(""), path],
    queryFn: ({ signal }) => place.list(path, signal),
  });
}

interface FolderProps {
  place: FilePlace;
  path: string;
  chosen: string;
  onChoose: (file: FileEntry) => void;
}

/** A line of the tree: a folder that opens, or a file to look at. */
function Entry({ file, ...props }: FolderProps & { file: FileEntry }) {
  const [open, setOpen] = useState(() => props.chosen.startsWith(`${file.path}/`));
  if (!file.isDir) {
    return (
      <button
        type="button"
        aria-current={props.chosen === file.path ? "true" : undefined}
        onClick={() => props.onChoose(file)}
      >
        <span>{base(file.path)}</span>
        <span className="quiet nowrap">{bytes(file.size)}</span>
      </button>
    );
  }
  return (
    <>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span>
          <span aria-hidden="true">{open ? "▾" : "▸"}</span> {base(file.path)}/
        </span>
      </button>
      {open && <Folder {...props} path={file.path} />}
    </>
  );
}

/** One folder, read when it is opened. */
function Folder(props: FolderProps) {
  const query = useFolder(props.place, props.path);
  return (
    <Loaded query={query}>
      {(files) =>
        files === undefined ? (
          <Skeleton />
        ) : files.length === 0 ? (
          <p className="quiet">Nothing here.</p>
        ) : (
          <ul>
            {files.map((file) => (
              <li key={file.path}>
                <Entry {...props} file={file} />
              </li>
            ))}
          </ul>
        )
      }
    </Loaded>
  );
}

function Shown({ place, path }: { place: FilePlace; path: string }) {
  // The size of a file is in the list of its folder.
  const folder = useFolder(place, path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");
  const size = folder.data?.find((file) => file.path === path)?.size;
  return (
    <Card
      title={base(path)}
      {...(size === undefined ? {} : { note: bytes(size) })}
      tools={
        <a className="button small" href={place.url(path)} download={base(path)}>
          Download
        </a>
      }
    >
      <div className="stack tight">
        <Preview key={`${place.id}/${path}`} url={place.url(path)} path={path} />
        <KeyValue
          items={[
            ["Path", <code key="path">{path}</code>],
            ["MLflow’s name", <code key="uri">{place.uri(path)}</code>],
          ]}
        />
      </div>
    </Card>
  );
}

/** Files in a tree with a preview; what is chosen is in the address. */
export function Artifacts({ places }: { places: FilePlace[] }) {
  const [chosen, setChosen] = useParam("path");
  const [from, setFrom] = useParam("in", places[0]?.id ?? "");
  const place = places.find((p) => p.id === from) ?? places[0];
  return (
    <div className="split">
      <Card title="Files">
        <div className="tree stack tight">
          {places.map((p) => (
            <section key={p.id} aria-label={p.label}>
              {places.length > 1 && <h3>{p.label}</h3>}
              <Folder
                place={p}
                path=""
                chosen={p === place ? chosen : ""}
                onChoose={(file) => {
                  setFrom(p.id);
                  setChosen(file.path);
                }}
              />
            </section>
          ))}
        </div>
      </Card>
      {place && chosen !== "" ? (
        <Shown place={place} path={chosen} />
      ) : (
        <Empty title="Choose a file to see it">
          Text, JSON, CSV and pictures are shown here; every file can be downloaded.
        </Empty>
      )}
    </div>
  );
}
