import { Code } from "../../components/basics";
import { Rules } from "../deployments/rules";

const FIRST_RULES = `rules:
  action: flag
  expectations:
    - type: expect_column_values_to_be_between
      kwargs: {column: age, min_value: 0, max_value: 120}`;

/** Which rules the live rows of a deployment break, and how many do. */
export function Quality({ deployment }: { deployment: string }) {
  return (
    <Rules
      name={deployment}
      title="Data quality"
      empty={
        <div className="pad stack tight">
          <p className="quiet">
            {deployment} holds its rows to no rules. Write them into its declaration and apply it: a request
            with a row that breaks one is refused, flagged or counted. Rules of data that is right are made by{" "}
            <code>mainspring validate FILE --infer</code>.
          </p>
          <Code text={FIRST_RULES} label="A rule" />
        </div>
      }
    />
  );
}
