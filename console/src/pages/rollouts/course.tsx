import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ms, native, type Rollout, type RolloutDecision, type RolloutMetricCourse } from "../../api/native";
import { Card, Skeleton } from "../../components/basics";
import { Chart } from "../../components/chart/chart";
import type { Mark, Series } from "../../components/chart/data";
import { Choice } from "../../components/choice";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { measure, percent } from "../../lib/format";
import { heldAgainst } from "../../lib/interval";
import { BY_ROLE, evidence, isActive, metricName } from "../../lib/rollout";
import { api } from "../../lib/url";

/** The journal is read for each look. */
const EVERY = 60_000;
/** Ranges that are wider than now by more would leave no room for it. */
const WIDER = 12;
/** More changes of weights would be a wall of marks. */
const MARKS = 8;

const place = (c: RolloutMetricCourse) => BY_ROLE.indexOf(c.role);

const width = ({ effect: { low, high } }: RolloutMetricCourse["points"][number]) =>
  (high ?? Number.POSITIVE_INFINITY) - (low ?? Number.NEGATIVE_INFINITY);

/** Whether its range has both ends by now. */
const closed = ({ points }: RolloutMetricCourse) => {
  const last = points.at(-1);
  return last !== undefined && Number.isFinite(width(last));
};

/** One metric's effect between the ends of its range, from where it can be drawn beside what it is now. */
export function drawn(course: RolloutMetricCourse, against: number | undefined) {
  const last = course.points.at(-1);
  const most = last ? width(last) * WIDER : Number.POSITIVE_INFINITY;
  const from = Math.max(
    0,
    course.points.findIndex((p) => width(p) <= most),
  );
  const points = course.points.slice(from);
  const series: Series[] = [
    { label: `effect, ${course.scale}`, values: points.map((p) => p.effect.estimate), colour: 0 },
    { label: "upper end", values: points.map((p) => p.effect.high ?? null), colour: 0, edge: true },
    { label: "lower end", values: points.map((p) => p.effect.low ?? null), colour: 0, edge: true },
  ];
  if (against !== undefined) {
    const label = course.scale === "mean" ? "limit" : "no effect";
    series.push({ label, values: points.map(() => against), colour: 1 });
  }
  return { x: points.map((p) => (ms(p.at) ?? 0) / 1000), series, left: from };
}

/** Where the part of the traffic that candidates get changed, unless it always does. */
function marksOf(rollout: Pick<Rollout, "weights">): Mark[] {
  const shares = rollout.weights.map((w) => ({
    x: (ms(w.since) ?? 0) / 1000,
    label: percent(1 - (w.weights[0] ?? 1)),
  }));
  return shares.length > MARKS ? [] : shares;
}

interface Of {
  rollout: Rollout;
  /** The newest decisions: they have the numbers where this server has none. */
  newest: RolloutDecision[] | undefined;
}

function Picture({ rollout, newest, courses }: Of & { courses: RolloutMetricCourse[] }) {
  const [wanted, choose] = useState("");
  const all = useMemo(() => [...courses].sort((a, b) => place(a) - place(b)), [courses]);
  // One that says something, unless nothing does yet.
  const course = all.find((c) => c.name === wanted) ?? all.find(closed) ?? all[0];
  const stable = evidence(rollout, newest).metrics.find((m) => m.name === course?.name)?.stable;
  const against = heldAgainst({ scale: course?.scale ?? "", stable });
  const picture = useMemo(() => course && drawn(course, against), [course, against]);
  if (!course || !picture) {
    return (
      <p className="quiet">No metric has an effect yet, or the journal no longer has this run's answers.</p>
    );
  }
  return (
    <>
      {all.length > 1 && (
        <Choice
          label="Metric"
          options={all.map((c) => [c.name, metricName(c.name)] as const)}
          value={course.name}
          onChange={choose}
        />
      )}
      <Chart
        key={course.name}
        label={`Effect on ${metricName(course.name)}`}
        x={picture.x}
        series={picture.series}
        marks={marksOf(rollout).filter((m) => m.x >= (picture.x[0] ?? 0))}
        xKind="time"
        unit={(v) => measure(v, 3)}
        height={220}
      />
      {picture.left > 0 && (
        <p className="quiet small">
          {`Before, its range was more than ${WIDER} times as wide as now.`}
        </p>
      )}
    </>
  );
}

/** How sure each metric was over time: the same journal, folded again. */
export function CourseCard({ rollout, newest }: Of) {
  const { name, run } = rollout;
  const active = isActive(rollout);
  const query = useQuery({
    queryKey: ["rollout-course", name, run, active],
    queryFn: ({ signal }) => native.rolloutCourse(name, run, signal),
    refetchInterval: active ? EVERY : false,
    staleTime: EVERY,
  });
  return (
    <Card
      title="Effects over time"
      note="The range of each effect as it stood at each look, from the journal. It was right at all of these moments together, with the promised error rate."
      tools={
        <ShowCall
          call={{ method: "GET", path: `${api("rollouts", name)}/course` }}
          cli={["rollout", "course", name]}
        />
      }
    >
      <Loaded query={query}>
        {(data) =>
          data === undefined ? (
            <Skeleton width="100%" />
          ) : (
            <Picture rollout={rollout} newest={newest} courses={data.metrics} />
          )
        }
      </Loaded>
    </Card>
  );
}
