import { Card, Code } from "./basics";

/** Texts to paste, each under what it does. */
export function UseIt({ steps }: { steps: { title: string; text: string }[] }) {
  return (
    <Card title="Use it">
      <div className="stack tight">
        {steps.map(({ title, text }) => (
          <div key={title}>
            <h3>{title}</h3>
            <Code text={text} label={title} />
          </div>
        ))}
      </div>
    </Card>
  );
}
