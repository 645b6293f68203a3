import { Link } from "wouter";
import type { Alert } from "../api/native";
import { pageOf, pageWords } from "../lib/alerts";
import { journalOf } from "../lib/url";

/** Where an alert leads: the predictions behind it, the page of what it is about unless that is `here`, its runbook. */
export function AlertLeads({ alert: a, here }: { alert: Alert; here?: string }) {
  const page = pageOf(a);
  return (
    <div className="row small">
      {a.query && <Link href={journalOf(a.query)}>the predictions behind it</Link>}
      {page && page !== here && <Link href={page}>{pageWords(page)}</Link>}
      {a.runbook && (
        <a href={a.runbook} rel="noreferrer">
          runbook
        </a>
      )}
    </div>
  );
}
