import { useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useSyncExternalStore } from "react";
import { Route, Router, Switch, useLocation } from "wouter";
import { ApiError } from "./api/errors";
import { native, type Session } from "./api/native";
import { isLoggedOut, onSession, setCsrfToken, setLoggedOut } from "./api/session";
import { Empty, PageHead, Skeleton } from "./components/basics";
import { Boundary, ErrorBox } from "./components/errors";
import { Shell } from "./components/shell";
import { Login } from "./pages/login";

const Overview = lazy(() => import("./pages/overview"));
const Experiments = lazy(() => import("./pages/experiments/list"));
const Experiment = lazy(() => import("./pages/experiments/experiment"));
const Compare = lazy(() => import("./pages/experiments/compare"));
const Run = lazy(() => import("./pages/experiments/run"));
const LoggedModel = lazy(() => import("./pages/experiments/logged-model"));
const Models = lazy(() => import("./pages/models/list"));
const Model = lazy(() => import("./pages/models/model"));
const Deployments = lazy(() => import("./pages/deployments/list"));
const Deployment = lazy(() => import("./pages/deployments/deployment"));
const Performance = lazy(() => import("./pages/performance/performance"));
const Rollouts = lazy(() => import("./pages/rollouts/list"));
const Rollout = lazy(() => import("./pages/rollouts/rollout"));
const Monitors = lazy(() => import("./pages/monitors/list"));
const Monitor = lazy(() => import("./pages/monitors/monitor"));
const Alerts = lazy(() => import("./pages/alerts/alerts"));
const Cost = lazy(() => import("./pages/cost/cost"));
const Journal = lazy(() => import("./pages/journal/journal"));
const Keys = lazy(() => import("./pages/settings/keys"));
const Audit = lazy(() => import("./pages/settings/audit"));

function Nowhere() {
  const [path] = useLocation();
  return (
    <>
      <PageHead title="No such page" lead={`There is nothing at ${path}.`} />
      <Empty title="Find it">
        Press <kbd>/</kbd> and type a part of its name, or choose a page on the left.
      </Empty>
    </>
  );
}

function Pages() {
  const [path] = useLocation();
  return (
    <Boundary place={path}>
      <Suspense fallback={<Skeleton width="40ch" />}>
        <Switch>
          <Route path="/" component={Overview} />
          <Route path="/experiments" component={Experiments} />
          {/* A page per thing: another name is another page, with its own state. */}
          <Route path="/experiments/:id">{() => <Experiment key={path} />}</Route>
          <Route path="/compare" component={Compare} />
          <Route path="/runs/:id">{() => <Run key={path} />}</Route>
          <Route path="/logged-models/:id" component={LoggedModel} />
          <Route path="/models" component={Models} />
          <Route path="/models/:name">{() => <Model key={path} />}</Route>
          <Route path="/deployments" component={Deployments} />
          <Route path="/deployments/:name">{() => <Deployment key={path} />}</Route>
          <Route path="/deployments/:name/performance">{() => <Performance key={path} />}</Route>
          <Route path="/rollouts" component={Rollouts} />
          <Route path="/rollouts/:name">{() => <Rollout key={path} />}</Route>
          <Route path="/monitors" component={Monitors} />
          <Route path="/monitors/:name">{() => <Monitor key={path} />}</Route>
          <Route path="/alerts" component={Alerts} />
          <Route path="/cost" component={Cost} />
          <Route path="/journal" component={Journal} />
          <Route path="/settings/keys" component={Keys} />
          <Route path="/settings/audit" component={Audit} />
          <Route component={Nowhere} />
        </Switch>
      </Suspense>
    </Boundary>
  );
}

function Inside() {
  const client = useQueryClient();
  const loggedOut = useSyncExternalStore(onSession, isLoggedOut);
  const session = useQuery({
    queryKey: ["session"],
    queryFn: async ({ signal }) => {
      const found = await native.session(signal);
      // Before any page asks for anything.
      setCsrfToken(found.csrfToken ?? undefined);
      return found;
    },
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  const info = useQuery({
    queryKey: ["info"],
    queryFn: ({ signal }) => native.info(signal),
    enabled: session.isSuccess,
  });

  const unauthenticated = session.error instanceof ApiError && session.error.status === 401;
  if (loggedOut || unauthenticated) {
    return (
      <Login
        onSession={(next: Session) => {
          setCsrfToken(next.csrfToken ?? undefined);
          client.clear();
          client.setQueryData(["session"], next);
          setLoggedOut(false);
        }}
      />
    );
  }
  const logout = async () => {
    await native.logout();
    setCsrfToken(undefined);
    client.clear();
    setLoggedOut(true);
  };
  return (
    <Shell
      where={
        session.data && {
          tenant: session.data.tenant,
          subject: session.data.subject,
          role: session.data.role,
          version: info.data?.version,
          onLogout: session.data.csrfToken ? () => void logout() : undefined,
        }
      }
    >
      {session.error ? (
        <ErrorBox error={session.error} retry={() => void session.refetch()} />
      ) : session.data ? (
        <Pages />
      ) : (
        <Skeleton width="40ch" />
      )}
    </Shell>
  );
}

/** Where the pages are, without a slash at the end. */
export const BASE = import.meta.env.BASE_URL.replace(/\/$/, "");

export function App() {
  return (
    <Router base={BASE}>
      <Inside />
    </Router>
  );
}
