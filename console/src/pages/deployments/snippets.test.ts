import { describe, expect, it } from "vitest";
import type { VersionDetail } from "../../api/native";
import { snippets, v2Body } from "./snippets";

function version(signature: Partial<VersionDetail["signature"]>): VersionDetail {
  return {
    signature: { columns: [], inputs: [], outputs: [], ...signature },
  } as unknown as VersionDetail;
}

const iris = version({
  columns: [
    { name: "petal length", type: "double", required: true },
    { name: "grower's name", type: "string", required: true },
  ],
  inputs: [{ name: "X", datatype: "FP32", shape: [-1, 4] }],
  outputs: [{ name: "label", datatype: "INT64", shape: [-1] }],
});
const open = { origin: "http://127.0.0.1:9000", key: false };
const find = (all: ReturnType<typeof snippets>, title: string) =>
  all.find((s) => s.title === title)?.text ?? "";

describe("snippets", () => {
  it("asks by REST and gRPC with the tensors of the signature", () => {
    const all = snippets(open, "iris", iris, false);
    expect(find(all, "curl")).toBe(
      `curl -sS http://127.0.0.1:9000/v2/models/iris/infer -H 'content-type: application/json' -d '{"inputs":[{"name":"X","datatype":"FP32","shape":[1,4],"data":[0,0,0,0]}]}'`,
    );
    expect(find(all, "Python, tritonclient over gRPC")).toBe(`import numpy
import tritonclient.grpc as triton

client = triton.InferenceServerClient("127.0.0.1:9000")
x0 = triton.InferInput("X", [1, 4], "FP32")
x0.set_data_from_numpy(numpy.zeros([1, 4], dtype=numpy.float32))
answer = client.infer("iris", [x0])
print("label", answer.as_numpy("label"))`);
  });

  it("asks by MLflow scoring with the columns, quoted for the shell", () => {
    const text = find(snippets(open, "iris", iris, false), "MLflow scoring with curl");
    expect(text).toContain("/deployments/iris/invocations");
    expect(text).toContain(`"columns":["petal length","grower'\\''s name"],"data":[[0,""]]`);
  });

  it("offers mlflow's own client only where it can reach this deployment", () => {
    const titles = (isDefault: boolean, key: boolean) =>
      snippets({ ...open, key }, "iris", iris, isDefault).map((s) => s.title);
    expect(titles(true, false)).toContain("mlflow’s ScoringServerClient");
    expect(titles(false, false)).not.toContain("mlflow’s ScoringServerClient");
    expect(titles(true, true)).not.toContain("mlflow’s ScoringServerClient");
  });

  it("takes the key from the environment, and TLS from the address", () => {
    const all = snippets({ origin: "https://ml.example.org", key: true }, "iris", iris, false);
    expect(find(all, "curl")).toContain(`-H "x-api-key: $MAINSPRING_API_KEY"`);
    expect(find(all, "Python, requests")).toContain(`os.environ["MAINSPRING_API_KEY"]`);
    expect(find(all, "Python, tritonclient over HTTP")).toContain(`"ml.example.org:443", ssl=True`);
  });

  it("leaves JSON out for tensors that nobody would write out", () => {
    const picture = version({ inputs: [{ name: "image", datatype: "FP32", shape: [-1, 3, 224, 224] }] });
    expect(v2Body(picture)).toBeUndefined();
    expect(snippets(open, "resnet", picture, false).map((s) => s.title)).toEqual([
      "Python, tritonclient over HTTP",
      "Python, tritonclient over gRPC",
    ]);
  });
});
