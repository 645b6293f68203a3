import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { native, type Rollout } from "../../api/native";
import { Confirm } from "../../components/confirm";
import { isActive, type OrderWords, orders } from "../../lib/rollout";

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
        <Confirm
          title={asking.title}
          action={asking.label}
          danger={asking.danger}
          onClose={() => setAsking(undefined)}
          onConfirm={async () => done(await native.orderRollout(name, asking.order))}
        >
          <p>{asking.text}</p>
        </Confirm>
      )}
    </>
  );
}
