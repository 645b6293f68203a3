import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/errors";
import { App, BASE } from "./app";
import { followMlflowLinks } from "./lib/mlflow-links";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/table.css";
import "./styles/content.css";
import "./styles/code.css";
import "./styles/overlays.css";
import "./styles/chart.css";
import "./styles/pages.css";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      // A refusal does not get better by asking again; a lost connection and a busy server may.
      retry: (times, error) => times < 3 && error instanceof ApiError && [0, 429, 503].includes(error.status),
      refetchIntervalInBackground: false,
    },
  },
});

followMlflowLinks(BASE);

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}
