import { afterEach, expect, it } from "vitest";
import { followMlflowLinks, fromMlflow } from "./mlflow-links";

const RUN = "0123456789abcdef0123456789abcdef";

it.each([
  ["#/", "/"],
  ["#/experiments", "/experiments"],
  ["#/experiments/1", "/experiments/1"],
  ["#/experiments/1/runs", "/experiments/1"],
  ["#/experiments/1/traces?workspace=a", "/experiments/1"],
  ["#/experiments/1?searchFilter=metrics.auc%20%3E%200.9", "/experiments/1?filter=metrics.auc+%3E+0.9"],
  [`#/experiments/1/runs/${RUN}`, `/runs/${RUN}`],
  [`#/experiments/1/runs/${RUN}?workspace=a`, `/runs/${RUN}`],
  [`#/experiments/1/runs/${RUN}/model-metrics`, `/runs/${RUN}?tab=charts`],
  [`#/experiments/1/runs/${RUN}/artifacts/plots/roc.png`, `/runs/${RUN}?tab=artifacts&path=plots%2Froc.png`],
  ["#/experiments/1/models/m-07", "/logged-models/m-07"],
  [`#/compare-runs?runs=["${RUN}","b"]&experiments=["1"]`, `/compare?runs=${RUN}%2Cb`],
  ["#/compare-runs?runs=broken", "/experiments"],
  ["#/models", "/models"],
  ["#/models/churn", "/models/churn"],
  ["#/models/churn/versions/3", "/models/churn?v=3"],
  ["#/models/a%20b%2Fc/versions/3", "/models/a%20b%2Fc?v=3"],
  ["#/models/v1.2", "/models/v1.2/"],
  ["#/prompts/greeting", "/"],
  ["#/%E0%A4%A", "/"],
])("%s is %s", (hash, page) => {
  expect(fromMlflow(hash)).toBe(page);
});

it.each(["", "#page", "#experiments/1"])("leaves %j alone", (hash) => {
  expect(fromMlflow(hash)).toBeUndefined();
});

afterEach(() => history.replaceState(null, "", "/"));

it("replaces the address at the start and when the fragment changes", () => {
  history.replaceState(null, "", "/ui/#/experiments/7");
  followMlflowLinks("/ui");
  expect(location.pathname + location.hash).toBe("/ui/experiments/7");
  history.replaceState(null, "", "/ui/#/models/churn/versions/2");
  dispatchEvent(new HashChangeEvent("hashchange"));
  expect(location.pathname + location.search + location.hash).toBe("/ui/models/churn?v=2");
});
