import { type MonitorDetail, ms } from "../../api/native";
import { Card, Status, Time } from "../../components/basics";
import { Table } from "../../components/table";
import { count, measure, percent, plural } from "../../lib/format";
import { columnName, detectorName, sideWords, sightWords } from "../../lib/monitor";

/** What stream detectors call, beside what they do not promise; nothing where there are none. */
export function Detectors({ monitor: m }: { monitor: MonitorDetail }) {
  if (m.detectors.length === 0) return null;
  return (
    <Card
      flush
      title="Stream detectors"
      note={`A detector bounds no rate of false alarms: at their defaults some call a change in nearly every long stream without one. The columns below are called drifted without a change for ${percent(m.level)} of the versions at most, however often they are looked at.`}
    >
      <Table
        caption="Stream detectors"
        rows={m.detectors}
        rowKey={(d) => `${d.detector} ${columnName(d)}`}
        columns={[
          { key: "name", label: "Column", head: true, render: columnName },
          { key: "detector", label: "Detector", render: (d) => detectorName(d) },
          { key: "drift", label: "Of", render: (d) => sideWords(d) },
          {
            key: "standing",
            label: "Standing",
            render: (d) => {
              const [mark, words] = sightWords(d);
              return <Status state={mark}>{words}</Status>;
            },
          },
          {
            key: "seen",
            label: <span title="Sampled values that it has seen">Seen</span>,
            numeric: true,
            render: (d) =>
              d.skipped > 0 ? (
                <span title={`${plural(d.skipped, "value")} of a kind that it cannot see`}>
                  {count(d.seen)} of {count(d.seen + d.skipped)}
                </span>
              ) : (
                count(d.seen)
              ),
          },
          { key: "calls", label: "Calls", numeric: true, render: (d) => count(d.detections) },
          {
            key: "last",
            label: "Last call",
            render: (d) => (d.last ? <Time at={ms(d.last.at)} exact /> : <span className="quiet">–</span>),
          },
          {
            key: "change",
            label: "Mean before and since",
            render: (d) =>
              d.last ? (
                <>
                  {measure(d.last.before, 3)} until about <Time at={ms(d.last.begunAt)} exact />,{" "}
                  {measure(d.last.since, 3)} since
                </>
              ) : (
                <span className="quiet">–</span>
              ),
          },
        ]}
      />
      {m.undetected > 0 && (
        <p className="quiet pad">
          {plural(m.undetected, "column")} more would have one: a monitor has at most 128.
        </p>
      )}
    </Card>
  );
}
