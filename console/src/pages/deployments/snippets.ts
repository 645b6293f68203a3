/** How each client asks a deployment, made from its signature. Every text runs as it is pasted. */
import type { VersionDetail } from "../../api/native";
import { KEY_HEADER, quote } from "../../lib/shell";

export interface Snippet {
  title: string;
  /** What to know before it is pasted. */
  note: string;
  text: string;
}

export interface Place {
  /** `http://host:port`, as the page sees it. */
  origin: string;
  /** Whether callers need a key; the texts then take it from MAINSPRING_API_KEY. */
  key: boolean;
}

type Tensor = VersionDetail["signature"]["inputs"][number];

/** The name of a datatype of the Open Inference Protocol in numpy. */
const NUMPY: Record<string, string> = {
  BOOL: "bool_",
  BYTES: "object_",
  FP16: "float16",
  FP32: "float32",
  FP64: "float64",
};

function numpyType(datatype: string): string {
  return NUMPY[datatype] ?? datatype.toLowerCase();
}

/** One row: free dimensions are 1. */
function dims(tensor: Tensor): number[] {
  return tensor.shape.map((d) => (d < 0 ? 1 : d));
}

const size = (tensor: Tensor) => dims(tensor).reduce((n, d) => n * d, 1);

function filler(datatype: string): unknown {
  return datatype === "BYTES" ? "" : datatype === "BOOL" ? false : 0;
}

/** The most values that a text spells out. */
const SPELLED = 256;

/** A v2 request of zeros for one row; undefined when it would not be read by anyone. */
export function v2Body(version: VersionDetail): unknown {
  const { inputs } = version.signature;
  if (inputs.some((t) => size(t) > SPELLED)) return undefined;
  return {
    inputs: inputs.map((t) => ({
      name: t.name,
      datatype: t.datatype,
      shape: dims(t),
      data: Array.from({ length: size(t) }, () => filler(t.datatype)),
    })),
  };
}

const json = (value: unknown) => JSON.stringify(value);

/** A value as Python writes it; a long list of one value as a product. */
function py(value: unknown): string {
  if (Array.isArray(value)) {
    const [first] = value;
    const same = typeof first !== "object" && value.every((v) => v === first);
    return same && value.length > 8 ? `[${py(first)}] * ${value.length}` : `[${value.map(py).join(", ")}]`;
  }
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([key, v]) => `${json(key)}: ${py(v)}`)
      .join(", ")}}`;
  return value === true ? "True" : value === false ? "False" : value === null ? "None" : json(value);
}

function columnValue(type: string): unknown {
  if (/^(string|bytes|datetime|binary|object)$/i.test(type)) return "";
  return /^bool/i.test(type) ? false : 0;
}

function curlOf(place: Place, path: string, body: unknown): string {
  const key = place.key ? ` ${KEY_HEADER}` : "";
  return `curl -sS ${quote(place.origin + path)}${key} -H 'content-type: application/json' -d ${quote(json(body))}`;
}

function requestsOf(place: Place, path: string, body: unknown): string {
  const key = place.key
    ? `import os\nimport requests\n\nheaders = {"x-api-key": os.environ["MAINSPRING_API_KEY"]}\n`
    : "import requests\n\n";
  const headers = place.key ? ", headers=headers" : "";
  const { inputs } = body as { inputs: unknown[] };
  return `${key}body = {
    "inputs": [
${inputs.map((input) => `        ${py(input)},`).join("\n")}
    ]
}
answer = requests.post("${place.origin}${path}", json=body${headers}, timeout=10)
answer.raise_for_status()
print(answer.json())
print(answer.headers["mainspring-prediction-id"])`;
}

/** `kind` is `http` or `grpc`: the two clients differ in nothing else that is shown here. */
function triton(place: Place, deployment: string, version: VersionDetail, kind: "http" | "grpc"): string {
  const { inputs, outputs } = version.signature;
  const url = new URL(place.origin);
  const tls = url.protocol === "https:" ? ", ssl=True" : "";
  const host = url.port === "" ? `${url.hostname}:${tls ? 443 : 80}` : url.host;
  const headers = place.key ? `, headers={"x-api-key": os.environ["MAINSPRING_API_KEY"]}` : "";
  const made = inputs
    .map((t, i) => {
      const zeros = `numpy.zeros(${py(dims(t))}, dtype=numpy.${numpyType(t.datatype)})`;
      return `x${i} = triton.InferInput(${json(t.name)}, ${py(dims(t))}, ${json(t.datatype)})\nx${i}.set_data_from_numpy(${zeros})`;
    })
    .join("\n");
  const printed = outputs.map((t) => `print(${json(t.name)}, answer.as_numpy(${json(t.name)}))`).join("\n");
  return `${place.key ? "import os\n" : ""}import numpy
import tritonclient.${kind} as triton

client = triton.InferenceServerClient(${json(host)}${tls})
${made}
answer = client.infer(${json(deployment)}, [${inputs.map((_, i) => `x${i}`).join(", ")}]${headers})
${printed}`;
}

function scoring(place: Place, deployment: string, version: VersionDetail, isDefault: boolean): Snippet[] {
  const { columns } = version.signature;
  if (columns.length === 0) return [];
  const body = {
    dataframe_split: {
      columns: columns.map((c) => c.name),
      data: [columns.map((c) => columnValue(c.type))],
    },
  };
  const path = `/deployments/${encodeURIComponent(deployment)}/invocations`;
  const found: Snippet[] = [
    {
      title: "MLflow scoring with curl",
      note: "The columns of the logged signature; dataframe_records, instances, inputs and CSV work as well.",
      text: curlOf(place, path, body),
    },
  ];
  const url = new URL(place.origin);
  if (isDefault && !place.key && url.protocol === "http:") {
    found.push({
      title: "mlflow’s ScoringServerClient",
      note: "It can name a host and a port only, so it reaches the default deployment: this one.",
      text: `import pandas
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

columns = [
${body.dataframe_split.columns.map((c) => `    ${json(c)},`).join("\n")}
]
frame = pandas.DataFrame(${py(body.dataframe_split.data)}, columns=columns)
client = ScoringServerClient("${url.hostname}", ${url.port || 80})
print(client.invoke(frame).get_predictions())`,
    });
  }
  return found;
}

/** All the clients, most used first. */
export function snippets(
  place: Place,
  deployment: string,
  version: VersionDetail,
  isDefault: boolean,
): Snippet[] {
  const path = `/v2/models/${encodeURIComponent(deployment)}/infer`;
  const body = v2Body(version);
  const rest: Snippet[] =
    body === undefined
      ? []
      : [
          {
            title: "curl",
            note: "The Open Inference Protocol over REST, in JSON.",
            text: curlOf(place, path, body),
          },
          {
            title: "Python, requests",
            note: "The same request; the header holds the id that feedback refers to.",
            text: requestsOf(place, path, body),
          },
        ];
  return [
    ...rest,
    {
      title: "Python, tritonclient over HTTP",
      note: "Tensors travel as bytes. pip install 'tritonclient[http]'",
      text: triton(place, deployment, version, "http"),
    },
    {
      title: "Python, tritonclient over gRPC",
      note: "On the same port. pip install 'tritonclient[grpc]'",
      text: triton(place, deployment, version, "grpc"),
    },
    ...scoring(place, deployment, version, isDefault),
  ];
}
