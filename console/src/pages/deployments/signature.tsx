import type { VersionDetail } from "../../api/native";
import { Card } from "../../components/basics";
import { Table } from "../../components/table";
import { plural } from "../../lib/format";

const shape = (dims: number[]) => `[${dims.map((d) => (d < 0 ? "any" : d)).join(", ")}]`;

function Tensors(props: { title: string; note: string; rows: VersionDetail["signature"]["inputs"] }) {
  return (
    <Card flush title={props.title} note={props.note}>
      <Table
        caption={props.title}
        rows={props.rows}
        rowKey={(t) => t.name}
        columns={[
          { key: "name", label: "Name", head: true, render: (t) => <span className="break">{t.name}</span> },
          { key: "type", label: "Type", render: (t) => t.datatype },
          { key: "shape", label: "Shape", render: (t) => <code>{shape(t.shape)}</code> },
        ]}
      />
    </Card>
  );
}

/** What a version takes and gives. */
export function SignatureTab({ version }: { version: VersionDetail }) {
  const { columns, inputs, outputs } = version.signature;
  return (
    <div className="grid">
      <Card
        flush
        title={plural(columns.length, "column")}
        note={`A row for the form, for MLflow scoring and for predict, as version ${version.version} was logged.`}
      >
        <Table
          caption="Columns"
          rows={columns}
          rowKey={(c) => c.name}
          empty={<p className="quiet pad">The inputs of this model are no columns.</p>}
          columns={[
            {
              key: "name",
              label: "Column",
              head: true,
              render: (c) => <span className="break">{c.name}</span>,
            },
            { key: "type", label: "Type", render: (c) => c.type },
            { key: "required", label: "Needed", render: (c) => (c.required ? "yes" : "optional") },
          ]}
        />
      </Card>
      <div className="stack">
        <Tensors title="Input tensors" note="For the Open Inference Protocol, REST and gRPC." rows={inputs} />
        <Tensors title="Output tensors" note="In this order." rows={outputs} />
      </div>
    </div>
  );
}
