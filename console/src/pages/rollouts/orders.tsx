import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { native, type Rollout } from "../../api/native";
import { Confirm } from "../../components/confirm";
import { isActive, type OrderWords, orders, promotable, promoteText } from "../../lib/rollout";

/** Asks before an order, why it is given, and of a promotion which candidate where several are left. */
function Order(props: {
  rollout: Rollout;
  words: OrderWords;
  onClose: () => void;
  done: (next: Rollout) => void;
}) {
  const { rollout, words } = props;
  const left = words.order === "promote" ? promotable(rollout) : [];
  const [candidate, setCandidate] = useState(rollout.chosen ?? "");
  const [reason, setReason] = useState("");
  const named = left.length > 1 ? candidate : undefined;
  const text = words.order === "promote" ? named !== "" && promoteText(rollout, named) : words.text;
  const send = () =>
    native.orderRollout(rollout.name, words.order, {
      ...(named !== undefined && { candidate: named }),
      ...(reason.trim() !== "" && { reason: reason.trim() }),
    });
  return (
    <Confirm
      title={words.title}
      action={words.label}
      danger={words.danger}
      disabled={named === ""}
      onClose={props.onClose}
      onConfirm={async () => props.done(await send())}
    >
      {named !== undefined && (
        <div className="field">
          <label htmlFor="candidate">Candidate</label>
          <select
            id="candidate"
            className="input"
            value={named}
            onChange={(e) => setCandidate(e.target.value)}
          >
            {named === "" && <option value="">Choose one</option>}
            {left.map((v) => (
              <option key={v.name} value={v.name}>
                {v.name === rollout.chosen ? `${v.name}, which leads` : v.name}
              </option>
            ))}
          </select>
        </div>
      )}
      {text && <p>{text}</p>}
      <div className="field">
        <label htmlFor="reason">Reason</label>
        <input
          id="reason"
          className="input"
          maxLength={500}
          aria-describedby="reason-note"
          value={reason}
          onChange={(e) => setReason(e.target.value)}
        />
        <span id="reason-note" className="note">
          The decision tells it; may be left out.
        </span>
      </div>
    </Confirm>
  );
}

/** What a person may do now; each asks once and says what will happen. */
export function Orders({ rollout }: { rollout: Rollout }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState<OrderWords | "start">();
  const { name } = rollout;
  const done = (next: Rollout) => {
    client.setQueryData(["rollout", name], next);
    void client.invalidateQueries({ queryKey: ["rollouts"] });
  };
  return (
    <>
      {orders(rollout).map((words) => (
        <button
          key={words.order}
          type="button"
          className={words.order === "abort" ? "button small danger" : "button small"}
          onClick={() => setAsking(words)}
        >
          {words.label}
        </button>
      ))}
      {!isActive(rollout) && (
        <button type="button" className="button small" onClick={() => setAsking("start")}>
          Begin again
        </button>
      )}
      {asking === "start" && (
        <Confirm
          title={`Begin the next run of ${name}?`}
          action="Begin"
          onClose={() => setAsking(undefined)}
          onConfirm={async () => done(await native.startRollout(name))}
        >
          <p>
            Run {rollout.run + 1} takes what is declared now and goes through all the steps again. The
            decisions of this run are kept.
          </p>
        </Confirm>
      )}
      {asking && asking !== "start" && (
        <Order rollout={rollout} words={asking} onClose={() => setAsking(undefined)} done={done} />
      )}
    </>
  );
}
