import type { VersionDetail } from "../../api/native";
import { Card, Code } from "../../components/basics";
import { curlHere, mainspring, needsKey } from "../../lib/here";
import { snippets } from "./snippets";

/** The clients that can ask this deployment, each with a text to paste. */
export function CallIt(props: { deployment: string; version: VersionDetail; isDefault: boolean }) {
  const { deployment, version } = props;
  const place = { origin: location.origin, key: needsKey() };
  return (
    <>
      <p className="quiet">
        One row of zeros in each, made from the signature of version {version.version}.
        {place.key && " The key is taken from the variable MAINSPRING_API_KEY."}
      </p>
      <div className="grid wide">
        {snippets(place, deployment, version, props.isDefault).map((s) => (
          <Card key={s.title} title={s.title} note={s.note}>
            <Code text={s.text} wrap={s.text.startsWith("curl")} label={`${s.title}: text`} />
          </Card>
        ))}
        <Card
          title="Tell what was right"
          note="Every answer has an id, in the header mainspring-prediction-id; a label joins on it."
        >
          <Code
            text={curlHere({
              method: "POST",
              path: "/api/v1/feedback",
              body: { predictionId: "PREDICTION_ID", name: "label", value: 1 },
            })}
            wrap
            label="Feedback"
          />
        </Card>
        <Card title="Ask what was answered" note="Predictions joined with the labels that came back.">
          <Code
            text={mainspring(
              "query",
              `select version, count(*) as labels from labeled where deployment = '${deployment}' group by version`,
            )}
            wrap
            label="Query"
          />
        </Card>
      </div>
    </>
  );
}
