"""People who use a deployment: each keeps an id, asks, and says afterwards what was true."""

import http.client
import json
import random
import threading

BATCH = 25


class People:
    """Asks held-out rows one by one, as so many users on so many connections, from `with` to its end: as fast as it goes, or
    so often `a_second`. Every answer is judged: the label `correct` says whether it was right."""

    def __init__(self, server, deployment, data, users=5000, connections=3, a_second=None):
        self.host, self.port, self.path = *server.base.rsplit(":", 1), f"/v2/models/{deployment}/infer"
        self.truth = data.test_y.to_numpy()
        self.bodies = [self.body(row) for row in data.test_x.to_numpy()]
        self.users, self.stopped = users, threading.Event()
        self.pause = connections / a_second if a_second else 0
        # Whom each user met, and what became of the requests.
        self.met, self.answered, self.failures = {}, 0, []
        self.threads = [threading.Thread(target=self.ask, args=(seed,), daemon=True) for seed in range(connections)]

    @staticmethod
    def body(row):
        tensor = {"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row.tolist()}
        return json.dumps({"inputs": [tensor]}).encode()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def ask(self, seed):
        choose, said = random.Random(seed), []
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=60)
        while not self.stopped.wait(self.pause):
            row, user = choose.randrange(len(self.truth)), f"user-{choose.randrange(self.users)}"
            try:
                variant, prediction, answer = self.one(connection, row, user)
                self.met.setdefault(user, set()).add(variant)
                self.answered += 1
                said.append({"predictionId": prediction, "name": "correct", "value": bool(answer == self.truth[row])})
                if len(said) == BATCH:
                    self.tell(connection, said)
                    said = []
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()

    def one(self, connection, row, user):
        connection.request("POST", self.path, self.bodies[row], {"content-type": "application/json", "x-user-id": user})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {text[:200].decode(errors='replace')}")
        label = next(output for output in json.loads(text)["outputs"] if output["name"] == "label")
        return answer.headers["mainspring-variant"], answer.headers["mainspring-prediction-id"], label["data"][0]

    @staticmethod
    def tell(connection, said):
        connection.request("POST", "/api/v1/feedback", json.dumps({"feedback": said}), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise ValueError(f"feedback: {answer.status} {text[:200].decode(errors='replace')}")

    def share(self, variant):
        """How many users met `variant`, and how many there were."""
        met = list(self.met.values())
        return sum(variant in variants for variants in met), len(met)
